"""`python -m tests.attack.bare tls|plain`: a listener that reads lines and answers each with the same, for controls.

What an attack does to it is what this machine and its network take, whatever the server.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import cast

CERTIFICATES = Path(__file__).parents[1] / "support" / "certificates"
RESULT = {"results": [{"status": "posted"}], "items": [], "completeness": {}}
ANSWER = json.dumps({"jsonrpc": "2.0", "id": 1, "result": RESULT}).encode() + b"\n"


class Answering(asyncio.Protocol):
    """Answers each line; of a client that does not read it reads no more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER * data.count(b"\n"))

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()


async def serve(tls: bool) -> None:
    """Print the port, and serve."""
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0, ssl=context, backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1] == "tls"))
