"""R3: the stock `jsocket.ServerFactory` from PyPI, with the SQLAlchemy ORM in its handler."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import jsocket
from sqlalchemy.orm import sessionmaker

from benchmarks.peers import shop

POSITIONS = itertools.count(1)


class Till(jsocket.ServerFactoryThread):
    """Handles one connection."""

    sessions: sessionmaker[Any]

    def _process_message(self, obj: dict[str, Any]) -> dict[str, Any]:
        with self.sessions() as session:
            return {"id": obj["id"], "status": shop.record(session, obj), "position": next(POSITIONS)}


if __name__ == "__main__":
    Till.sessions = sessionmaker(shop.open_engine(sys.argv[2]))
    server = jsocket.ServerFactory(Till, address="127.0.0.1", port=int(sys.argv[1]))
    server.start()
    server.join()
