"""Every complaint that says what was expected says what came, too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for part in ("pos_client", "inventory_server") for path in (ROOT / part).rglob("*.py"))
COMPLAINING = {"fail", "Problem"}
"""Functions that complain without raising."""


def text_of(node: ast.expr) -> str:
    """A text as it is written; `{}` stands for a value."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "{}"


def texts_in(node: ast.AST) -> Iterator[str]:
    """The texts in a statement, of those that are parts of others only the whole."""
    if isinstance(node, ast.JoinedStr | ast.Constant):
        yield text_of(node)
        return
    for child in ast.iter_child_nodes(node):
        yield from texts_in(child)


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def complaints(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each complaint with a value that was expected, and of each that a client gets in `came`."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        named = {
            target.id: text_of(each.value)
            for each in ast.walk(function)
            if isinstance(each, ast.Assign) and isinstance(each.value, ast.JoinedStr | ast.Constant)
            for target in each.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and name_of(node) in COMPLAINING):
                yield from ((node.lineno, text) for text in texts_in(node) if "xpected " in text)
            if isinstance(node, ast.Call) and name_of(node) == "RequestError" and is_about_a_value(node):
                message = node.args[1]
                yield node.lineno, named.get(message.id, "") if isinstance(message, ast.Name) else text_of(message)


def is_about_a_value(call: ast.Call) -> bool:
    codes = {node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)}
    return bool({"invalid_params", "invalid_request"} & codes) and "came" in {each.arg for each in call.keywords}


def shows_the_value(text: str) -> bool:
    """True if a complaint says what came: behind what was expected, in front of it, or as an error that says it."""
    before, expected, _ = text.partition("xpected ")
    return "got " in text or text.endswith(": {}") or bool(expected and "{}" in before)


def test_a_complaint_shows_the_value_that_came() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in FILES
        for line, text in complaints(ast.parse(path.read_text()))
        if not shows_the_value(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "is_found"),
    [
        ("raise ValueError('expected a number')", True),
        ("raise ValueError(f'expected {kind}')", True),
        ("raise ValueError(f'expected {kind}, got {value!r}')", False),
        ("raise ValueError(f'{value!r}: expected {kind}')", False),
        ("self.fail('Expected a date')", True),
        ("raise RequestError(ErrorCode.invalid_params, 'That is no date.', came=text)", True),
        ("message = f'That is no date.'\n    raise RequestError(ErrorCode.invalid_params, message, came=text)", True),
        ("message = f'$: expected {a}, got {b}.'\n    raise RequestError(Code.invalid_params, message, came=b)", False),
    ],
)
def test_a_complaint_without_the_value_would_be_found(code: str, is_found: bool) -> None:
    found = [text for _, text in complaints(ast.parse(f"def f():\n    {code}")) if not shows_the_value(text)]
    assert bool(found) == is_found
