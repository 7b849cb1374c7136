"""Where HQ is and who asks: the options of every command that talks to a server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from pos_client.protocol.address import Address

F = TypeVar("F", bound=Callable[..., Any])


class ServerAddress(click.ParamType[Address]):
    """HOST, HOST:PORT, [IPv6]:PORT or unix:PATH."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """The address in `value`."""
        try:
            return value if isinstance(value, Address) else Address.parse(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)


server_option = click.option(
    "--server",
    envvar="TILLWIRE_SERVER",
    type=ServerAddress(),
    default="127.0.0.1",
    show_default=True,
    help="HQ's address: HOST[:PORT] or unix:PATH.",
)
terminal_option = click.option("--terminal", envvar="TILLWIRE_TERMINAL", help="The terminal that asks.")
token_option = click.option("--token", envvar="TILLWIRE_TOKEN", help="Its token (better in TILLWIRE_TOKEN).")


class Moment(click.ParamType[datetime]):
    """An instant; without an offset it is in the time zone of this machine."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant in `value`."""
        try:
            return datetime.fromisoformat(str(value)).astimezone()
        except (ValueError, OverflowError):
            return self.fail(f"expected an instant like 2026-03-01T14:00+01:00, got {value!r}", param, ctx)
