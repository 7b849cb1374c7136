"""The console layer of all commands: exit codes, error messages, tables, progress bars, shell completion.

All output of commands goes through it, so that no text from a till, a file or HQ can control a terminal.
Only command modules import it: it needs the `cli` extra (click and rich).
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec
from click.shell_completion import get_completion_class

from pos_client.commands.table import table_lines
from pos_client.protocol.errors import TillwireError
from pos_client.protocol.printable import escaped, escaped_json

if TYPE_CHECKING:
    from rich.progress import Progress

    from pos_client.files.exporting import ExportCell

_Command = TypeVar("_Command", bound=Callable[..., Any])
OK = 0
FOUND_PROBLEMS = 1
"""The command completed and found problems: rows that do not map, a failed proof."""
CANNOT = 2
"""The command could not complete: wrong usage, no database, no server."""
_INTERRUPTED = 130
_encoder = msgspec.json.Encoder(decimal_format="number")


class CommandError(TillwireError):
    """A command that cannot complete; the message is one sentence and says the next step."""


def run(command: click.Command, program: str) -> int:
    """Run `command` as `program` and return its exit code; an expected error is one line on stderr."""
    _tolerate_narrow_encodings()
    try:
        code = command.main(prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        usage = io.StringIO()
        error.show(usage)
        for line in usage.getvalue().rstrip("\n").split("\n"):
            say(line, err=True)
        return CANNOT
    except (click.Abort, KeyboardInterrupt):
        say(f"{program}: interrupted.", err=True)
        return _INTERRUPTED
    except TillwireError as error:
        say(f"{program}: {error}", err=True)
        return CANNOT
    except BrokenPipeError:
        # The reader (`| head`) has exited. Without this, Python would report it again when it flushes at exit.
        sys.stdout = io.StringIO()
        return OK
    except OSError as error:
        sys.stdout = io.StringIO()
        say(f"{program}: cannot continue: {error.strerror or error}.", err=True)
        return CANNOT
    return code if isinstance(code, int) else OK


def _tolerate_narrow_encodings() -> None:
    """Show question marks for characters that the terminal's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(sentence: str = "", err: bool = False) -> None:
    """Print `sentence` as one line that cannot control a terminal."""
    click.echo(escaped(sentence), err=err)


def say_or_json(as_json: bool, sentence: str, **facts: Any) -> None:
    """Print what was done: as JSON its `facts`, else `sentence`."""
    if as_json:
        print_json(facts)
    else:
        say(sentence)


yes_option = click.option("--yes", is_flag=True, help="In a terminal, post without asking.")


def is_interactive() -> bool:
    """True if a person sees what is printed, and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirm(question: str, yes: bool) -> None:
    """Ask a person in a terminal, unless `yes`; an answer but yes ends the command. A program is not asked."""
    if not yes and is_interactive():
        click.confirm(question, abort=True)


def print_json(value: Any) -> None:
    """Print `value` as indented JSON; quantities are exact numbers."""
    click.echo(to_json(value))


def print_json_line(value: Any) -> None:
    """Print `value` as JSON on one line, at once: for programs that read what never ends."""
    click.echo(escaped_json(_encoder.encode(value).decode()))
    sys.stdout.flush()


class JsonOutput(io.StringIO):
    """Standard output for JSON text, escaped as by `to_json`."""

    def write(self, text: str) -> int:
        """Print `text`."""
        click.echo(escaped_json(text), nl=False)
        return len(text)


def to_json(value: Any) -> str:
    """`value` as indented JSON, control and format characters escaped; quantities are exact numbers."""
    return escaped_json(msgspec.json.format(_encoder.encode(value), indent=2).decode())


def print_csv(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print `rows` as CSV, byte for byte for a file or a program, but escaped on a terminal."""
    if sys.stdout.isatty():
        rows = [[escaped(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    click.echo(to_csv(names, rows), color=True)  # keeps escape sequences in the data, which click would remove


def print_export(form: str, safe: bool, names: Sequence[str], rows: Sequence[Sequence[ExportCell]]) -> None:
    """Print `rows` for a spreadsheet: as `csv` (if `safe`, no text in it is run as a formula), or as `xlsx`."""
    from pos_client.files.exporting import safe as safe_cell  # only here: few commands export, all start faster
    from pos_client.files.exporting import workbook

    if form == "xlsx":
        if sys.stdout.isatty():
            raise CommandError("A workbook cannot be shown in a terminal: write it to a file with > FILE.xlsx.")
        sys.stdout.buffer.write(workbook(names, rows))
    else:
        print_csv(names, [[safe_cell(cell) if safe else cell for cell in row] for row in rows])


def safe_option(command: _Command) -> _Command:
    """The option that makes the text of a CSV file harmless."""
    told = "In CSV, put an apostrophe before text that a spreadsheet would run as a formula."
    return click.option("--safe", is_flag=True, help=told)(command)


def to_csv(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """`rows` as CSV with a header row, without the final line end."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def print_table(names: Mapping[str, bool], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Print `rows` as a table; `names` maps each column to whether it is numeric (right-aligned).

    In a terminal it fits the width, and goes through the pager where it is higher than the terminal; else a row is a
    line.
    """
    size = shutil.get_terminal_size()
    in_terminal = sys.stdout.isatty()
    lines = [] if title is None else [escaped(title)]
    lines += table_lines(names, rows, size.columns if in_terminal else None)
    if in_terminal and len(lines) >= size.lines and os.environ.get("PAGER") != "":
        os.environ.setdefault("LESS", "-FRX")  # as git does: what was read stays on the screen
        click.echo_via_pager("\n".join(lines))
    else:
        click.echo("\n".join(lines))


@contextmanager
def progress_bar(label: str, total: int, shown: bool = True) -> Iterator[ProgressBar]:
    """A progress bar on stderr, if that is a terminal and `shown` is true.

    Its spinner and its clock go on by themselves, also while one step takes long.
    """
    # Only here: loading this part of rich takes a command that only prints a table a fifth of its time.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal), transient=True) as progress:
        yield ProgressBar(progress, label, total)


@contextmanager
def live_screen() -> Iterator[Callable[[Sequence[str]], None]]:
    """A part of the terminal that shows the lines given last; they stay when it ends."""
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        yield lambda lines: live.update(Text("\n".join(lines)), refresh=True)


class ProgressBar:
    """A progress bar; call it with the amount done so far."""

    def __init__(self, progress: Progress, label: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total)

    def __call__(self, done: int, total: int | None = None) -> None:
        """Show `done`; `total` replaces the expected total."""
        self._progress.update(self._task, completed=done, total=total)


def pairs(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    """A click callback for repeatable options of the form FIELD=VALUE."""
    del context, option
    pairs = [value.partition("=") for value in values]
    for field, equals, _ in pairs:
        if not (field and equals):
            raise click.BadParameter(f"expected FIELD=VALUE, got {field!r}")
    return [(field, text) for field, _, text in pairs]


def completion_command(*programs: str) -> click.Command:
    """The command `completion SHELL`, which prints the completion script of `programs` for that shell."""

    @click.command("completion")
    @click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
    @click.pass_context
    def completion(context: click.Context, shell: str) -> None:
        """Print the shell completion script: eval "$(… completion bash)"."""
        kind = get_completion_class(shell)
        assert kind is not None
        for program in programs:
            variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
            click.echo(kind(context.find_root().command, {}, program, variable).source())

    return completion
