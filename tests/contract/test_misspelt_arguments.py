"""Type checkers find a misspelt argument of every method of the till's API: mypy and pyright, both strict."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pos_client import Basket, PosClient, Posting
from pos_client.aio import AsyncPosClient
from tests.support.waiting import HANG_SECONDS

# What a call needs, of each method that needs something.
NEEDED = {
    "PosClient": "'hq', terminal='T1'",
    **dict.fromkeys(("sell", "return_", "receive", "adjust", "count", "reserve", "release", "transfer_in"), "LINES"),
    "transfer_out": "LINES, to='S2'",
    "close_transfer": "ID, 'lost'",
    "void": "ID",
    "posting": "ID",
    "merge": "'a', into='b'",
    "history": "'a'",
    "changes": "1",
    "post": "Body('sale', AT)",
    "add": "'a'",
    "basket.sell": "",
    "sell_basket": "basket",
    "answer": "handle",
}
KINDS = {"till": PosClient, "basket": Basket, "handle": Posting, "shared": AsyncPosClient}
HEAD = """# pyright: strict
from datetime import UTC, datetime
from uuid import UUID
from pos_client import Basket, Body, PosClient, Posting
from pos_client.aio import AsyncPosClient
LINES, ID, AT = [("a", 1)], UUID(int=1), datetime.now(UTC)
async def check(till: PosClient, basket: Basket, handle: Posting, shared: AsyncPosClient) -> None:
"""


def methods(kind: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]


def calls() -> dict[str, str]:
    """A call of each public method, without its end; and the arguments that it needs."""
    made = {"PosClient(": NEEDED["PosClient"]}
    for variable, kind in KINDS.items():
        for name in methods(kind):
            call, is_awaited = f"{variable}.{name}", inspect.iscoroutinefunction(getattr(kind, name))
            made[f"{'await ' if is_awaited else ''}{call}("] = NEEDED.get(call, NEEDED.get(name, ""))
    return made


def program() -> list[str]:
    """The lines of a program that makes all calls, first with a misspelt argument, then rightly."""
    wrong = [f"    {call}{', '.join(filter(None, [needed, 'occured_at=AT']))})" for call, needed in calls().items()]
    right = [f"    {call}{needed})" for call, needed in calls().items()]
    return [*HEAD.splitlines(), *wrong, *right]


def lines_with_errors(command: list[str], path: Path, root: Path) -> set[int]:
    """The lines of `path` in which the type checker finds an error."""
    # Without a word of newer releases, which it would ask the network for.
    quiet = os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(
        [*command, path], cwd=root, env=quiet, capture_output=True, text=True, check=False, timeout=HANG_SECONDS
    )
    return {int(line) for line in re.findall(rf"{path.name}:(\d+)(?::\d+)*:? (?:- )?error", done.stdout + done.stderr)}


MYPY = [sys.executable, "-m", "mypy", "--strict"]
PYRIGHT = [sys.executable, "-m", "pyright", f"--pythonpath={sys.executable}"]


@pytest.mark.parametrize(
    "command", [pytest.param(MYPY, id="mypy"), pytest.param(PYRIGHT, id="pyright", marks=pytest.mark.long)]
)
def test_a_misspelt_argument_of_any_method_is_found(command: list[str], root: Path, tmp_path: Path) -> None:
    path, lines = tmp_path / "snippet.py", program()
    path.write_text("\n".join(lines) + "\n")
    found = [lines[number - 1] for number in sorted(lines_with_errors(command, path, root))]
    assert found == [line for line in lines if "occured_at" in line]
