"""A chat: what one client says, the server sends to all. Run: python chat.py [localhost:9999]"""

import sys
import threading
from typing import Any

from inventory_server.jsonserver import JsonHandler, ServerFactory


class Member(JsonHandler):
    """One client of the chat."""

    def setup(self) -> None:
        """Join."""
        with lock:
            members.add(self)

    def handle_message(self, message: Any) -> None:
        """Send a message to all, this client included; there is no other reply."""
        with lock:
            everybody = list(members)
        for member in everybody:
            member.send({"from": self.peer.address, "says": message})

    def finish(self) -> None:
        """Leave, whatever ended the connection."""
        with lock:
            members.discard(self)


lock = threading.Lock()  # guards `members`: each client has a thread of its own
members: set[Member] = set()
with ServerFactory(Member, *sys.argv[1:] or ["localhost:9999"], max_unsent_bytes=65_536) as server:
    print("serving on", server.addresses[0], flush=True)
    server.serve_forever()
