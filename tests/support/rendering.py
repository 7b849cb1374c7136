"""Renders each statement once: all engines on one kind of database use what SQLAlchemy has rendered for any of them.

A server has its engines for life; tests make thousands, and each would render all its statements again.
"""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

STATEMENTS_MAX = 2_000


def _alike(dialect: DefaultDialect) -> object:
    return type(dialect), dialect.server_version_info


def render_once(patch: pytest.MonkeyPatch) -> None:
    """Have this process keep one cache of rendered statements, which SQLAlchemy looks up by dialect and statement."""
    rendered = LRUCache[object, object](STATEMENTS_MAX)
    patch.setattr(Engine, "_compiled_cache", property(lambda _: rendered, lambda *_: None), raising=False)
    patch.setattr(DefaultDialect, "__eq__", lambda one, other: _alike(one) == _alike(other))
    patch.setattr(DefaultDialect, "__hash__", lambda dialect: hash(type(dialect)))
