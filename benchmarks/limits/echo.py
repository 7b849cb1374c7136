"""L2: Tillwire's own threaded server with a handler that echoes each frame. `… limits.echo PORT`."""

from __future__ import annotations

import signal
import sys

from inventory_server.jsonserver import EncodedReply, JsonHandler, SendReply, ServerFactory


class Echo(JsonHandler):
    """Echoes the frames of one connection."""

    def handle_frame(self, frame: bytes, answer: SendReply) -> None:
        """Send the frame back."""
        answer(EncodedReply(frame + b"\n", close=False))


def main(port: int) -> None:
    """Serve until SIGTERM."""
    server = ServerFactory(Echo, f"127.0.0.1:{port}")
    server.start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop(1)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(int(sys.argv[1]))
