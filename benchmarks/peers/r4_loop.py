"""R4: the loop of every socket tutorial: one socket at a time, one message, one commit with `sqlite3`."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from typing import Any


def record(db: sqlite3.Connection, sale: dict[str, Any]) -> None:
    """Record one sale and commit it."""
    with db:
        row = (sale["id"], sale["terminal"], sale["location"], sale["occurred_at"], sale["reference"])
        db.execute("INSERT INTO sale (id, terminal, location, occurred_at, reference) VALUES (?, ?, ?, ?, ?)", row)
        for line in sale["lines"]:
            taken = (line["quantity"], sale["location"], line["sku"])
            row = (sale["id"], line["sku"], line["quantity"])
            db.execute("INSERT INTO line (sale_id, sku, quantity) VALUES (?, ?, ?)", row)
            db.execute("UPDATE stock SET on_hand = on_hand - ? WHERE location = ? AND sku = ?", taken)


def main(port: int, database: str) -> None:
    """Serve one client after another, for ever."""
    db = sqlite3.connect(database)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    server = socket.create_server(("127.0.0.1", port))
    while True:
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                sale = json.loads(line)
                record(db, sale)
                connection.sendall(json.dumps({"id": sale["id"], "status": "posted"}).encode() + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
