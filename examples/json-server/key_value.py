"""A key-value store: {"set": "a", "to": 1}, {"get": "a"}, {"delete": "a"}. Run: python key_value.py [localhost:9999]"""

import sys
import threading
from typing import Any

from inventory_server.jsonserver import JsonHandler, ServerFactory


class Store(ServerFactory):
    """The values are the server's; every handler sees it as `self.server`."""

    values: dict[str, Any] = {}  # noqa: RUF012 (one server per process)
    lock = threading.Lock()  # guards `values`: each client has a thread of its own


class Client(JsonHandler):
    """Carries out the requests of one client."""

    def handle_message(self, message: Any) -> Any:
        """What was asked for, or `error`."""
        store = self.server
        with store.lock:
            match message:
                case {"set": str(key), "to": value}:
                    store.values[key] = value
                    return {"set": key}
                case {"get": str(key)} if key in store.values:
                    return {"value": store.values[key]}
                case {"delete": str(key)} if key in store.values:
                    return {"deleted": store.values.pop(key)}
        return {"error": f"expected set and to, or get or delete of a known key, got {message}"}


with Store(Client, *sys.argv[1:] or ["localhost:9999"]) as server:
    print("serving on", server.addresses[0], flush=True)
    server.serve_forever()
