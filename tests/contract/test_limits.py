"""Every limit is written once, in the limits file of its room: no other module has a number with a unit in its name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMITS_FILES = {"limits.py", "config.py", "policy.py"}
EXCEPTIONS = {
    # Defines the unit of a quantity, and the ranges that follow from it.
    "pos_client/protocol/units.py",
    # Defines the longest frame, for the JSON server too, which knows no inventory and so not the protocol's limits.
    "pos_client/protocol/framing.py",
}
HAS_UNIT = re.compile(r"_(SECONDS|MS|MICROS|BYTES|KIB|ROWS|PAGES|LENGTH|DIGITS|MAX|MIN)$")

MODULES = [
    path
    for folder in ("pos_client", "inventory_server")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name not in LIMITS_FILES and str(path.relative_to(ROOT)) not in EXCEPTIONS
]


def is_number(value: ast.expr | None) -> bool:
    """True for a number, a tuple of numbers, and arithmetic on numbers."""
    if isinstance(value, ast.Tuple):
        return all(is_number(element) for element in value.elts)
    if isinstance(value, ast.BinOp):
        return is_number(value.left) and is_number(value.right)
    return isinstance(value, ast.Constant) and type(value.value) in (int, float)


def limits(source: str) -> Iterator[str]:
    """The constants of a module that are limits: numbers, whose names end in a unit or a bound."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_number(node.value):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and HAS_UNIT.search(target.id):
                    yield target.id


def test_limits_are_in_the_limits_files_alone() -> None:
    assert [f"{path.relative_to(ROOT)}: {name}" for path in MODULES for name in limits(path.read_text())] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("_POLL_SECONDS = 0.5", ["_POLL_SECONDS"]),
        ("READ_BYTES: int = 1 << 16", ["READ_BYTES"]),
        ("RETRY_MS = (20, 300)", ["RETRY_MS"]),
        ("SHOWN_BYTES = 4 * VALUE_LENGTH_MAX", []),
        ("VERSION = 1\nNAME_MAX = 'x'", []),
    ],
)
def test_a_limit_elsewhere_is_found(source: str, found: list[str]) -> None:
    assert list(limits(source)) == found
