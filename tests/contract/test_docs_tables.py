"""The tables and examples of the pages are those of the program: settings, errors, commands, complaints, messages."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from inventory_server.commands.main import inventory_server
from inventory_server.config import Settings
from pos_client.commands.main import pos_client
from pos_client.commands.stock import stock_query
from pos_client.protocol.errors import ErrorCode
from pos_client.protocol.methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
PAGES = {page.name: page.read_text() for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
EXAMPLE = re.compile(r"<!-- example: (?P<name>\S+) -->\n```json\n(?P<text>.*?)^```$", re.M | re.S)


def section(page: str, heading: str) -> str:
    """What stands in `page` under `heading`, up to the next heading."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", PAGES[page], re.M | re.S)
    assert found, f"{page} has no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The rows of the tables in `text`, headers and rulers left out."""
    body = re.sub(r"^\|.*\n\|[-| :]+$", "", text, flags=re.M)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in body.splitlines() if line.startswith("|")]


def written(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else f"{value:,}"


def bounds(default: object, metadata: Mapping[str, Any]) -> str:
    if isinstance(default, tuple):
        return "networks"
    return f"{metadata['least']:,} – {metadata['most']:,}" if "least" in metadata else "true, false"


def test_the_settings_are_all_explained_with_their_defaults_and_bounds() -> None:
    told = rows(section("operator.md", "Settings"))
    assert told == [
        [f"`{field.name}`", written(field.default), bounds(field.default, field.metadata), field.metadata["reason"]]
        for field in fields(Settings)
    ]


def test_the_errors_are_all_listed_with_code_and_whether_to_try_again() -> None:
    told = {tuple(row[:3]) for row in rows(section("protocol.md", "Errors"))}
    assert told == {
        (f"{code.number}".replace("-", "−"), f"`{code.name}`", "yes" if code.retryable else "no") for code in ErrorCode
    }


def test_every_method_has_a_section_in_the_protocol_page() -> None:
    missing = [name for name in METHODS if f"\n### `{name}`" not in PAGES["protocol.md"]]
    assert missing == []


EXAMPLES = [(page, match["name"], match["text"]) for page, text in PAGES.items() for match in EXAMPLE.finditer(text)]


@pytest.mark.parametrize(("page", "name", "text"), EXAMPLES, ids=[f"{page}:{name}" for page, name, _ in EXAMPLES])
def test_an_example_in_a_page_is_the_published_one(page: str, name: str, text: str) -> None:
    assert json.loads(text) == json.loads((ROOT / "schema" / "examples" / f"{name}.json").read_text())


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """`command` and all below it, with the words that call it."""
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from commands(each, f"{path} {name}")
    else:
        yield path, command


COMMANDS = [
    entry for program in (inventory_server, pos_client, stock_query) for entry in commands(program, program.name or "")
]


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_command_and_every_option_of_it_is_in_some_page(path: str, command: click.Command) -> None:
    text = "\n".join(PAGES.values())
    options = [option.opts[0] for option in command.params if isinstance(option, click.Option) and not option.hidden]
    wanted = [path, *options]
    assert [each for each in wanted if not re.search(rf"{re.escape(each)}(?![\w-])", text)] == []


@cache
def sentences() -> str:
    """All texts in the program, one a line; what an f-string fills in is left out."""
    found = []
    for path in (*(ROOT / "pos_client").rglob("*.py"), *(ROOT / "inventory_server").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append("…".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


COMPLAINTS = [
    (page, row[0].strip("`"))
    for page, heading in (("operator.md", "Error messages"), ("pos-developer.md", "What the complaints mean"))
    for row in rows(section(page, heading))
]


@pytest.mark.parametrize(("page", "complaint"), COMPLAINTS)
def test_a_complaint_that_is_explained_is_one_that_the_program_makes(page: str, complaint: str) -> None:
    parts = [part.strip() for part in complaint.split("…") if part.strip()]
    assert parts
    assert [part for part in parts if part not in sentences()] == []


NAMED = [
    (page, name)
    for page in ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/protocol.md", "docs/operator.md")
    for name in sorted(set(re.findall(r"`([\w./-]+/[\w.-]*|\w+\.py)`", (ROOT / page).read_text())))
    if not name.startswith(("/", ".")) and "NAME" not in name
]


@pytest.mark.parametrize(("page", "name"), NAMED)
def test_a_file_that_a_page_names_is_there(page: str, name: str) -> None:
    assert any((ROOT / part / name).exists() for part in ("", "pos_client", "inventory_server"))
