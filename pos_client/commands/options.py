"""Options that several commands share: who asks, the till, its outbox, JSON output."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from pos_client.commands.complete import outbox_locations, outbox_terminals
from pos_client.protocol.nearest import nearest


class NearChoice(click.Choice[str]):
    """One of a few words; a misspelt one is answered with the nearest."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """What is said of a word that is none of them."""
        near = nearest(str(value), map(str, self.choices))
        return super().get_invalid_choice_message(value, ctx) + (f" Is it {near!r}?" if near else "")


class InstantParam(click.ParamType[datetime]):
    """An instant; without a UTC offset it is in this machine's time zone."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant in `value`."""
        try:
            return datetime.fromisoformat(str(value)).astimezone()
        except (ValueError, OverflowError):
            return self.fail(f"expected an instant like 2026-03-01T14:00+01:00, got {value!r}", param, ctx)


terminal_option = click.option("--terminal", envvar="TILLWIRE_TERMINAL", help="The terminal to ask as.")
till_option = click.option(
    "--terminal",
    envvar="TILLWIRE_TERMINAL",
    required=True,
    shell_complete=outbox_terminals,
    help="The till's terminal name at HQ.",
)
location_option = click.option(
    "--location",
    envvar="TILLWIRE_LOCATION",
    shell_complete=outbox_locations,
    help="Where the till is, until its outbox has it from HQ; a development server enrols the till there.",
)
outbox_option = click.option(
    "--outbox",
    envvar="TILLWIRE_OUTBOX",
    default="till.db",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The till's outbox file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
