"""The mappings that come with the program, and which of them a file is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pos_client.files.mapping import load_mapping
from pos_client.files.settings import MappingError, mapped
from pos_client.files.table import NoColumn, open_table

_PACKAGE = Path(__file__).resolve().parent.parent


def mapping_paths() -> list[Path]:
    """The ready mappings: beside the package in a checkout, inside it in the wheel."""
    carried = _PACKAGE / "_mappings"
    return sorted((carried if carried.is_dir() else _PACKAGE.parent / "examples" / "mappings").glob("*.toml"))


def recognised(file: Path, changes: dict[str, Any]) -> Path:
    """The ready mapping whose columns `file` has, with `changes` made to it; of several, the one with the most columns.

    MappingError if there is none, or no one of them.
    """
    found: list[tuple[int, Path]] = []
    for path in mapping_paths():
        mapping = load_mapping(path, {"constants": {"location": "any"}, "time": {"zone": "UTC"}, **_kept(changes)})
        wanted = {str(name) for _, name in mapped(mapping)} | set(mapping.skip) | set(mapping.fill_down)
        try:
            with open_table(file, mapping.form(), sorted(wanted)):
                found.append((len(wanted), path))
        except NoColumn:
            continue  # a file of another program
    found.sort(reverse=True)
    if not found:
        known = ", ".join(path.stem for path in mapping_paths())
        raise MappingError(f"{file} has the header of no known export ({known}): write a mapping for it.")
    if len(found) > 1 and found[0][0] == found[1][0]:
        names = " or ".join(str(path) for count, path in found if count == found[0][0])
        raise MappingError(f"{file} may be for several mappings: use --mapping {names}")
    return found[0][1]


def _kept(changes: dict[str, Any]) -> dict[str, Any]:
    """How the file is written, which decides whether its header can be read."""
    return {name: changes[name] for name in ("delimiter", "encoding", "quoting", "sheet") if name in changes}
