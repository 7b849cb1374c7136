"""What all commands promise: exit codes, one sentence on stderr, output that programs can read."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import click
import pytest

from inventory_server import commands as server_commands
from inventory_server.commands.main import inventory_server
from pos_client.commands import console
from pos_client.commands.main import pos_client
from pos_client.commands.stock import stock_query
from pos_client.protocol.errors import ErrorCode, RequestError
from tests.support.commands import MAINS, Shell
from tests.support.waiting import wait_until


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def raising(error: BaseException) -> click.Command:
    @click.command("job")
    def job() -> int:
        raise error

    return job


def returning(value: object) -> click.Command:
    @click.command("job")
    def job() -> object:
        return value

    return job


OUTCOMES = [
    (returning(0), 0, ""),
    (returning(1), 1, ""),
    (returning(None), 0, ""),
    (raising(console.CommandError("There is none: make one.")), 2, "job: There is none: make one.\n"),
    (raising(RequestError(ErrorCode.forbidden, "No.")), 2, "job: No.\n"),
    (raising(click.ClickException("Odd.")), 2, "Error: Odd.\n"),
    (raising(KeyboardInterrupt()), 130, "job: interrupted.\n"),
    (raising(OSError(28, "No space left on device")), 2, "job: cannot continue: No space left on device.\n"),
]


@pytest.mark.parametrize(("command", "code", "said"), OUTCOMES)
def test_every_end_has_its_exit_code_and_at_most_one_sentence(
    command: click.Command, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["job"])
    assert console.run(command, "job") == code
    assert capsys.readouterr().err.lstrip("\n") == said


def test_a_reader_that_leaves_early_is_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["job"])
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    assert console.run(raising(BrokenPipeError()), "job") == 0
    assert capsys.readouterr().err == ""


def test_a_terminal_that_cannot_show_a_name_shows_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["job"])
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    assert console.run(click.command("job")(lambda: print("Kaffee ☕")), "job") == 0
    assert shown.getvalue() == b"Kaffee ?\n"


def test_json_is_exact_and_csv_is_quoted() -> None:
    assert '"q": 0.1' in console.to_json({"q": Decimal("0.1")})
    assert console.to_csv(["a", "b"], [['x,"y', 1]]) == 'a,b\n"x,""y",1'


def test_a_table_shows_every_cell_and_takes_brackets_for_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table({"sku": False, "on hand": True}, [["[bold]x[/bold]", "5"]])
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert "on hand" in out


# An escape sequence, a title, one-byte control codes, reversed text, another line.
HOSTILE = "\x1b[31m \x1b]0;pwn\x07 \x9b31m \u202e \n \r"
SHOWN = r"\x1b[31m \x1b]0;pwn\x07 \x9b31m \u202e \n \r"


def test_no_text_controls_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    console.say(HOSTILE)
    console.say(HOSTILE, err=True)
    assert capsys.readouterr() == (SHOWN + "\n", SHOWN + "\n")
    console.print_table({HOSTILE: False, "n": True}, [[HOSTILE, "1"]], HOSTILE)
    title, head, _, row = capsys.readouterr().out.splitlines()
    assert (title.strip(), head.split(" ┃ ")[0].strip(), row.split(" │ ")[0].strip()) == (SHOWN, SHOWN, SHOWN)
    monkeypatch.setattr(sys, "argv", ["job"])
    console.run(raising(console.CommandError(HOSTILE)), "job")
    assert capsys.readouterr().err == f"job: {SHOWN}\n"
    console.run(raising(OSError(5, HOSTILE)), "job")
    assert capsys.readouterr().err == f"job: cannot continue: {SHOWN}.\n"
    console.run(raising(click.ClickException(HOSTILE.replace("\n", ""))), "job")
    assert r"\x1b]0;pwn\x07 \x9b31m \u202e" in capsys.readouterr().err


def test_json_keeps_its_value_and_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({HOSTILE: HOSTILE})
    console.JsonOutput().write(f'"{HOSTILE[8]}"\n')
    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.split("\n"))
    whole, end = json.JSONDecoder().raw_decode(shown)
    assert whole == {HOSTILE: HOSTILE}
    assert json.loads(shown[end:]) == HOSTILE[8]


@pytest.mark.parametrize(("terminal", "shown"), [(True, SHOWN), (False, f'"{HOSTILE}"')])
def test_csv_is_exact_for_programs_and_escaped_on_a_terminal(
    terminal: bool, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    console.print_csv(["sku", "n"], [[HOSTILE, 1]])
    assert capsys.readouterr().out == f"sku,n\n{shown},1\n"


COMMANDS = [Path(console.__file__).parent, Path(server_commands.__file__).parent]


def test_every_command_prints_through_the_console() -> None:
    printing = re.compile(r"click\.s?echo\(|\bprint\(|sys\.std(out|err)\.write|rich\.(?!cells)")
    modules = [module for folder in COMMANDS for module in folder.glob("*.py") if module.name != "console.py"]
    found = {module.name for module in modules if printing.search(module.read_text())}
    assert found == {"stock_query.py"}, "only it prints while rich and click may be missing"


def test_a_progress_bar_is_silent_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress_bar("work", 10) as progress:
        progress(5)
        progress(6, 12)
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_progress_bar_goes_on_while_a_step_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with console.progress_bar("work", 10) as progress:
        progress(3)
        wait_until(lambda: len(set(re.findall("[\u2800-\u28ff]", terminal.getvalue()))) > 2, "the spinner to turn")
        assert "work" in terminal.getvalue()
        assert "3/10" in terminal.getvalue()


WITHOUT_JSON = {
    "inventory-server serve",
    "inventory-server web",
    "inventory-server observe",
    "inventory-server demo",
    "inventory-server completion",
    "inventory-server product export",  # CSV for `catalog import`; `product list --json` is the same as JSON
    "pos-client completion",
    "pos-client outbox export",  # JSON lines
}


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from commands(each, f"{path} {name}")
    else:
        yield path, command


def test_every_command_that_says_something_says_it_as_json_too() -> None:
    programs = (inventory_server, pos_client, stock_query)
    every = [found for program in programs for found in commands(program, program.name or "")]
    silent = {path for path, command in every if not any("--json" in option.opts for option in command.params)}
    assert silent == WITHOUT_JSON


@pytest.mark.parametrize("program", MAINS)
def test_every_program_has_help_and_a_version(program: str, shell: Shell) -> None:
    assert shell(program, "--help").code == 0
    done = shell(program, "--version")
    assert done.code == 0
    assert done.out.startswith(program)


@pytest.mark.parametrize("program", MAINS)
def test_an_option_that_does_not_exist_is_a_usage_error(program: str, shell: Shell) -> None:
    done = shell(program, "--nonsense")
    assert done.code == 2
    assert "No such option" in done.err


MISSING = [
    ("pos-client", "pos_client.commands.main", "click", "pip install 'tillwire[cli]'"),
    ("stock-query", "pos_client.commands.stock", "rich", "pip install 'tillwire[cli]'"),
    ("inventory-server", "inventory_server.commands.main", "sqlalchemy", "pip install 'tillwire[server]'"),
]


@pytest.mark.parametrize(("program", "module", "missing", "advice"), MISSING)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    program: str, module: str, missing: str, advice: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Hidden(module, missing), *sys.meta_path])
    done = shell(program, "--help")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"{program}: {missing} is missing: {advice}\n"


@pytest.mark.parametrize(("program", "module", "missing", "advice"), MISSING)
def test_a_module_of_our_own_that_is_missing_is_not_blamed_on_the_installation(
    program: str, module: str, missing: str, advice: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Hidden(module, module), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError):
        shell(program, "--help")


class Hidden:
    """Makes importing `module` fail as if `missing` were not installed."""

    def __init__(self, module: str, missing: str) -> None:
        self.module = module
        self.missing = missing

    def find_spec(self, name: str, *_: object) -> None:
        if name == self.module:
            raise ModuleNotFoundError(f"No module named {self.missing!r}", name=self.missing)
