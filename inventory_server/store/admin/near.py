"""The stored name that a misspelt one may mean."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, select

from inventory_server.config import NEAR_LETTERS, NEAR_NAMES_MAX
from pos_client.protocol.nearest import nearest


def did_you_mean(connection: Connection, column: Column[Any], name: str, *only: ColumnElement[bool]) -> str:
    """How advice begins: with the name in `column` most like `name` that begins as it does; empty if none is."""
    begins = column.startswith(name[:NEAR_LETTERS], autoescape=True)
    found = connection.execute(select(column).where(begins, *only).order_by(column).limit(NEAR_NAMES_MAX))
    near = nearest(name, found.scalars())
    return "" if near is None else f"did you mean {near}? If not, "
