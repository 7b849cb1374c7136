"""The statements that a test runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from inventory_server.store.ledger import sql


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that run meanwhile, on the driver's cursor or through SQLAlchemy."""
    ran: list[str] = []
    execute = sql.run

    def run(connection: Connection, text: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        ran.append(text)
        return execute(connection, text, parameters)

    def before(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        ran.append(text)

    event.listen(Engine, "before_cursor_execute", before)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(sql, "run", run)
            yield ran
    finally:
        event.remove(Engine, "before_cursor_execute", before)
