"""Style that can be measured is measured: sizes, leftovers, and what the linters say."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.together import TOGETHER

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
ONE_LIST = {
    "pos_client/protocol/messages.py": 400,
    "inventory_server/store/ledger/tables.py": 421,
    "schema/migrations/versions/0001_first_schema.py": 408,
}
"""Files that are one list and would only get harder to read in two; these numbers may only fall."""

FOLDERS = ("pos_client", "inventory_server", "schema/migrations", "tests", "benchmarks", "examples", "docs", ".ci")
PROSE_AND_CODE = {".py", ".md", ".toml", ".sh", ".mako", ".sql", ""}
FILES = sorted(
    path
    for path in [*ROOT.iterdir(), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    if path.is_file() and path.suffix in PROSE_AND_CODE and "__pycache__" not in path.parts
    and path.parent.name != ".git" and path.name != ".git"
)  # fmt: skip
PYTHON = [path for path in FILES if path.suffix == ".py"]

MARKERS = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")  # the brackets keep it from finding itself
MACHINE_PATHS = re.compile(r"(?<![\w.])/(home/\w|root/|Users/\w|work/)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def long_functions(nodes: Iterable[ast.AST], lines_max: int = FUNCTION_LINES_MAX) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Function) and (lines := (node.end_lineno or 0) - node.lineno + 1) > lines_max:
            yield f"{node.name} has {lines} lines"


def swallowed_errors(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Handlers that catch everything by having no type, or that do nothing at all."""
    for node in nodes:
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield f"line {node.lineno}: a bare except"
            if all(isinstance(step, ast.Pass) or _is_ellipsis(step) for step in node.body):
                yield f"line {node.lineno}: an except that does nothing"


def statements(source: str) -> list[ast.AST]:
    """Everything in a module but its expressions, which hold neither functions nor handlers."""
    found: list[ast.AST] = list(ast.parse(source).body)
    for node in found:
        found += (
            each
            for each in ast.iter_child_nodes(node)
            if isinstance(each, ast.stmt | ast.ExceptHandler | ast.match_case)
        )
    return found


def _is_ellipsis(step: ast.stmt) -> bool:
    return isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant) and step.value.value is Ellipsis


def untidy(path: Path) -> Iterator[str]:
    source = path.read_text()
    if (lines := source.count("\n")) > ONE_LIST.get(name_of(path), FILE_LINES_MAX):
        yield f"{lines} lines"
    nodes = statements(source)
    if "migrations" not in path.parts:  # a migration is a list of statements too
        yield from long_functions(nodes)
    yield from swallowed_errors(nodes)


def leftovers(path: Path) -> Iterator[str]:
    text = path.read_text()
    yield from MARKERS.findall(text)
    yield from (match[0] for match in MACHINE_PATHS.finditer(text))


def test_files_and_functions_are_short_and_swallow_no_error() -> None:
    assert [f"{name_of(path)}: {found}" for path in PYTHON for found in untidy(path)] == []


def test_no_leftover_markers_and_no_paths_of_one_machine() -> None:
    assert [f"{name_of(path)}: {found}" for path in FILES for found in leftovers(path)] == []


def test_what_is_untidy_is_found() -> None:
    function = statements("class C:\n    def f():\n" + "        g()\n" * 3)
    assert list(long_functions(function, lines_max=3)) == ["f has 4 lines"]
    assert list(swallowed_errors(statements("try:\n    f()\nexcept:\n    g()\n"))) == ["line 3: a bare except"]
    within = "match a:\n    case 1:\n        with b:\n            try:\n                f()\n"
    assert list(swallowed_errors(statements(within + "            except OSError:\n                ...\n"))) == [
        "line 6: an except that does nothing"
    ]
    assert not list(swallowed_errors(statements("try:\n    f()\nexcept OSError:\n    g()\n")))
    assert MARKERS.search("# TO" + "DO later")
    assert MACHINE_PATHS.search("cd /ho" + "me/kim/tills")


LINTERS = [
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy"],
    *(["mypy", "--platform", name, "--cache-dir", f".mypy_cache/{name}", "pos_client"] for name in ("win32", "darwin")),
]
IN_TURN = [
    pytest.param(command, id=" ".join(command), marks=[pytest.mark.long] if "--platform" in command else [])
    for command in LINTERS
]


@pytest.mark.parametrize("command", IN_TURN)
def test_the_linters_find_nothing(command: list[str]) -> None:
    """The same commands as `make lint`."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_make_lint_runs_the_same_linters() -> None:
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile[makefile.index("\nlint:") :].split("\n\n", 1)[0].splitlines()[2:]
    assert [line.removeprefix("\t$(BIN)/").split() for line in recipe] == LINTERS


def test_the_files_that_one_process_runs_are_there() -> None:
    assert [name for name in TOGETHER if not (ROOT / name).is_file()] == []


def test_ci_runs_what_a_person_runs() -> None:
    """The command of the README's test line, and then what that leaves for later."""
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("\nmake test\nmake test-long")
    assert "\nmake test " in (ROOT / "README.md").read_text()
