"""Which `except` clauses no test has reached: python -m tests.support.handlers COVERAGE_DATA.

Prints each with file and line, and ends with exit code 1 where there is one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from coverage import CoverageData

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pos_client", "inventory_server")


def handlers(source: str) -> Iterator[tuple[int, int]]:
    """The line of each `except` of a module, and the line that its body begins with."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            yield node.lineno, node.body[0].lineno


def unreached(source: str, reached: set[int]) -> list[int]:
    """The lines of the `except` clauses whose bodies have not run; `reached` are the lines that have."""
    return sorted(line for line, body in handlers(source) if body not in reached)


def main(data_file: str) -> int:
    """Look through both packages."""
    data = CoverageData(data_file)
    data.read()
    found = 0
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for line in unreached(path.read_text(), set(data.lines(str(path)) or ())):
                found += 1
                print(f"{path.relative_to(ROOT)}:{line}: no test reaches this except clause")
    print(f"{found} except clauses are not reached.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
