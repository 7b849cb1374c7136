"""Tokens of terminals: from a file or the environment, never from the command line, which other users can see."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pos_client.commands import console

_VARIABLE = "TILLWIRE_TOKEN"


def read_entries(path: Path) -> list[list[str]]:
    """The words of each line of a token file; CommandError if it cannot be read."""
    try:
        return [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise console.CommandError(f"The token file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise console.CommandError(f"The token file {path} cannot be read: {error}.") from error


def _token(context: click.Context, _: click.Parameter, path: Path | None) -> str | None:
    """The token in the file given, or in the environment. In the file, the terminal's name may stand before it."""
    if path is None or context.resilient_parsing:
        return os.environ.get(_VARIABLE) or None
    entries = read_entries(path)
    if len(entries) != 1 or len(entries[0]) > 2:
        raise console.CommandError(
            f"The token file {path} must hold one token: expected 1 line with a token, or with a terminal name and its "
            f"token; got {len(entries)} lines with {sum(map(len, entries))} words."
        )
    return entries[0][-1]


token_option = click.option(
    "--token-file",
    "token",
    envvar=f"{_VARIABLE}_FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_token,
    help=f"File with the terminal's token; without it, {_VARIABLE} is the token.",
)
