"""Changing code under test from outside."""

from __future__ import annotations

from typing import Any


def put(owner: Any, **changes: Any) -> None:
    """Replace attributes of a class or a module."""
    for name, value in changes.items():
        setattr(owner, name, value)
