"""Options that every import of a file has: which columns hold what, and how the file is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

import click

from pos_client.commands import console
from pos_client.files.records import Quoting
from pos_client.files.table import Form, checked_encoding
from pos_client.protocol.nearest import nearest

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Writing:
    """How a file is written: `columns` maps fields to columns of another name, `decimal` is its decimal sign."""

    columns: Mapping[str, str]
    form: Form
    decimal: str | None


def file_options(fields: Sequence[str]) -> Callable[[F], F]:
    """The options of an import of files with these fields; read them with `writing`."""

    def add(command: F) -> F:
        for option in (
            click.option("--decimal", type=click.Choice([".", ","]), help="Decimal sign of quantities."),
            click.option(
                "--quoting",
                type=click.Choice(get_args(Quoting)),
                default="strict",
                show_default=True,
                help="none: a quote is a character like any other; trusted: a quoted cell may look like rows.",
            ),
            click.option("--sheet", help="The sheet of a workbook, if several have data."),
            click.option("--encoding", help="Encoding of the file, such as cp1252; UTF-8 and UTF-16 are recognised."),
            click.option("--delimiter", help="Column separator; recognised by the header where it is , ; | or a tab."),
            click.option(
                "--column",
                "columns",
                multiple=True,
                callback=console.pairs,
                metavar="FIELD=COLUMN",
                help="The COLUMN that holds FIELD, if it has another name; "
                f"FIELD is one of {', '.join(fields)}; repeatable.",
            ),
        ):
            command = option(command)
        return command

    return add


def writing(fields: Sequence[str], options: Mapping[str, Any]) -> Writing:
    """What the options of `file_options` say; click.BadParameter or FileError where one of them is wrong."""
    for field, _ in options["columns"]:
        if field not in fields:
            near = nearest(field, fields)
            hint = f"did you mean {near!r}?" if near else f"expected {', '.join(fields)}."
            raise click.BadParameter(f"{field!r} is no field of this file: {hint}")
    delimiter = options["delimiter"]
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise click.BadParameter(f"--delimiter: expected one character, got {delimiter!r}.")
    encoding = checked_encoding(options["encoding"])
    form = Form(delimiter, encoding, options["quoting"], sheet=options["sheet"])
    return Writing(dict(options["columns"]), form, options["decimal"])
