"""R2: Flask, the SQLAlchemy ORM, waitress with its default of 4 threads; a session and a commit per request."""

from __future__ import annotations

import sys
from typing import Any

import waitress
from flask import Flask, request
from sqlalchemy.orm import sessionmaker

from benchmarks.peers import shop

CONNECTIONS = 1_000


def make_app(database: str) -> Flask:
    """The application with its one route."""
    app = Flask(__name__)
    sessions = sessionmaker(shop.open_engine(database))

    @app.post("/sales")
    def post_sale() -> tuple[dict[str, Any], int]:
        sale = request.get_json()
        with sessions() as session:
            return {"id": sale["id"], "status": shop.record(session, sale)}, 201

    return app


if __name__ == "__main__":
    waitress.serve(make_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), connection_limit=CONNECTIONS)
