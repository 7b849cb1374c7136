"""Paths of the files shipped with the program: migrations and the generated descriptions of the protocol."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def schema_path(*parts: str) -> Path:
    """The path of a file or folder in `schema/`: beside the package in a checkout, inside it in the wheel."""
    carried = _PACKAGE / "_schema"
    root = carried if carried.is_dir() else _PACKAGE.parent / "schema"
    return root.joinpath(*parts)
