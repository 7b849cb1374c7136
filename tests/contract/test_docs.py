"""What the pages show is what happens: their code blocks are run, their links lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.support.postgres import binaries
from tests.support.snippets import POSTGRES, RUNNABLE, SHELLS, SnippetFailed, blocks, commands, run_page

ROOT = Path(__file__).resolve().parents[2]
RUN = {str(path.relative_to(ROOT)): path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))}
PAGES = RUN | {name: ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")}

LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)(?P<path>[^)#\s]+)[^)]*\)")


IN_TURN = [
    pytest.param(name, marks=[pytest.mark.long] if POSTGRES in path.read_text() else []) for name, path in RUN.items()
]


@pytest.mark.parametrize("page", IN_TURN)
def test_the_code_of_a_page_does_what_the_page_says(page: str, tmp_path: Path) -> None:
    text = RUN[page].read_text()
    if POSTGRES in text and binaries() is None:
        pytest.skip("no PostgreSQL here")
    run_page(page, text, tmp_path, ROOT)


def test_the_readme_shows_python_and_commands_that_are_run() -> None:
    run = {block.language for block in blocks("README.md", RUN["README.md"].read_text()) if block.runs}
    assert "python" in run
    assert run & set(SHELLS)


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    targets = [PAGES[page].parent / link["path"] for link in LINK.finditer(PAGES[page].read_text())]
    assert [str(target) for target in targets if not target.exists()] == []


def page_of(*parts: str) -> str:
    return "\n\n".join(parts)


def block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def test_blocks_run_in_order_in_one_folder_and_python_remembers(tmp_path: Path) -> None:
    text = page_of(
        "<!-- file: seen.txt -->\n" + block("text", "one"),
        block("python", "from pathlib import Path\nseen = Path('seen.txt').read_text()"),
        block("sh", "echo two >> seen.txt"),
        block("python", "print(seen + Path('seen.txt').read_text())"),
        block("output", "one\none\ntwo"),
        block("console", "$ cat \\\n> seen.txt\none\n...\n$ true"),
        "1. In a list:\n\n   ```sh\n   test -f seen.txt\n   ```",
    )
    assert run_page("page.md", text, tmp_path, tmp_path) == 5


FAILING = [
    ("python", "1 / 0", "ZeroDivisionError"),
    ("python", "raise SystemExit(0)", "SystemExit"),
    ("python", "import os; os._exit(1)", "ended the interpreter"),
    ("sh", "false", "exited with 1"),
    ("sh", "false | true", "exited with 1"),
    ("bash", "echo $no_such_variable", "exited with 1"),
    ("console", "$ echo here\nthere", "but prints\nhere"),
    ("python", "print('here')\n```\n\n```output\nthere", "but prints\nhere"),
]


@pytest.mark.parametrize(("language", "text", "complaint"), FAILING)
def test_a_block_that_fails_or_prints_something_else_is_found(
    language: str, text: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(SnippetFailed, match=re.escape(complaint)) as failed:
        run_page("page.md", "Text.\n\n" + block(language, text), tmp_path, tmp_path)
    assert str(failed.value).startswith("page.md:3 ")


def test_a_traceback_names_the_line_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(SnippetFailed, match=r'File "page\.md", line 4'):
        run_page("page.md", "\n\n" + block("python", "1 / 0"), tmp_path, tmp_path)


def test_only_a_block_with_a_reason_is_left_out(tmp_path: Path) -> None:
    left_out = page_of("<!-- not run: it would not end -->\n" + block("sh", "false"), block("json", "{"))
    assert run_page("page.md", left_out, tmp_path, tmp_path) == 0
    without_reason = blocks("page.md", "<!-- not run: -->\n" + block("sh", "false"))
    far_away = blocks("page.md", "<!-- not run: why -->\nText.\n" + block("sh", "false"))
    assert [block.runs for block in without_reason + far_away] == [True, True]


def test_a_block_may_run_on_until_the_page_ends(tmp_path: Path) -> None:
    text = page_of(
        "<!-- runs on after: ready -->\n"
        + block("sh", "trap 'echo over > end; exit' TERM\necho ready\nsleep 60 & wait"),
        block("output", "ready"),
        block("sh", "test ! -e end"),
    )
    assert run_page("page.md", text, tmp_path, tmp_path) == 2
    assert (tmp_path / "end").read_text() == "over\n"


def test_a_block_that_should_run_on_and_ends_is_found(tmp_path: Path) -> None:
    with pytest.raises(SnippetFailed, match=r"page\.md:2 does not run on:\nno port"):
        run_page("page.md", "<!-- runs on after: ready -->\n" + block("sh", "echo no port"), tmp_path, tmp_path)


def test_what_a_block_leaves_running_is_ended(tmp_path: Path) -> None:
    left = "{ trap 'echo over > end; exit' TERM; echo > up; sleep 60 & wait; } > log 2>&1 &"
    text = page_of(
        block("sh", left + "\nuntil test -e up; do sleep 0.1; done"),
        block("sh", "until test -e end; do sleep 0.1; done"),
    )
    assert run_page("page.md", text, tmp_path, tmp_path) == 2


def test_a_console_shows_complaints_too(tmp_path: Path) -> None:
    session = block("console", "$ ls no-such-file || echo exit code $?\nls: ...no-such-file...\nexit code 2")
    assert run_page("page.md", session, tmp_path, tmp_path) == 1


@pytest.mark.parametrize("language", RUNNABLE)
def test_every_shell_dialect_and_python_is_run(language: str) -> None:
    assert blocks("page.md", block(language, "true"))[0].runs


def test_a_console_session_is_split_into_commands_and_their_output() -> None:
    session = "$ one \\\n> more\nout\nput\n$ two\n"
    assert list(commands(session)) == [("one \\\nmore\n", "out\nput\n"), ("two\n", None)]
