"""Sends every message back. Run: python echo.py [localhost:9999]"""

import sys
from typing import Any

from inventory_server.jsonserver import JsonHandler, ServerFactory


class Echo(JsonHandler):
    """Echoes the messages of one client."""

    def handle_message(self, message: Any) -> Any:
        """The message itself."""
        return {"echo": message}


with ServerFactory(Echo, *sys.argv[1:] or ["localhost:9999"]) as server:
    print("serving on", server.addresses[0], flush=True)
    server.serve_forever()
