"""One request, one reply, over and out: text or JSON. Run: python request_reply.py [localhost:9999]

Ask it with `request_once("localhost:9999", "time")`, or `request_once("localhost:9999", {"add": [1, 2]})`.
"""

import sys
from datetime import UTC, datetime
from typing import Any

from inventory_server.jsonserver import RequestServer


class Clock(RequestServer):
    """Tells the time, and adds numbers."""

    def handle_request(self, request: Any) -> Any:
        """A line of text to a line of text, an object to an object."""
        match request:
            case "time":
                return datetime.now(UTC).isoformat()
            case {"add": [*numbers]}:
                return {"sum": sum(numbers)}
            case "stop":
                self.stop()
                return "stopping"
        return f"expected time, stop or add, got {request}"


server = Clock(*sys.argv[1:] or ["localhost:9999"])
server.start()
print("serving on", server.addresses[0], flush=True)
server.run()
