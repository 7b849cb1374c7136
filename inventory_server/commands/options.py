"""Options and small conversions that several commands share."""

from __future__ import annotations

import tomllib
from contextlib import AbstractContextManager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

import click
import msgspec

from inventory_server.admin.control_socket import this_user
from inventory_server.admin.office import Office, open_office
from inventory_server.clock import now_microseconds
from inventory_server.config import SHOWN_ARGUMENT_LENGTH_MAX, Settings
from inventory_server.jsonserver import Networks
from pos_client.commands.console import CommandError
from pos_client.protocol.nearest import nearest
from pos_client.protocol.units import instant

DEFAULT_DB = "sqlite:///tillwire.db"

db_option = click.option(
    "--db", envvar="TILLWIRE_DB", default=DEFAULT_DB, show_default=True, metavar="URL", help="The ledger's database."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def load_settings(path: Path | None) -> Settings:
    """The settings in the TOML file `path`, with defaults for those it omits; CommandError if it cannot be used."""
    if path is None:
        return Settings()
    try:
        read = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"The configuration {path} cannot be read: {error}.") from error
    known = {field.name for field in fields(Settings)}
    if unknown := sorted(read.keys() - known):
        near = nearest(unknown[0], known)
        hint = f"did you mean {near!r}?" if near else f"the settings are {', '.join(sorted(known))}."
        raise CommandError(f"The configuration {path} has {unknown[0]!r}, which is not a setting; {hint}")
    settings = Settings(**{name: _setting(path, name, value) for name, value in read.items()})
    for field in fields(Settings):
        if "least" not in field.metadata:
            continue
        least, most = field.metadata["least"], field.metadata["most"]
        if not least <= getattr(settings, field.name) <= most:
            came = read[field.name]  # as it was written: a setting in seconds is a float by now
            raise CommandError(f"The configuration {path} has {field.name} = {came}: expected {least:,} to {most:,}.")
    return settings


def _setting(path: Path, name: str, value: Any) -> Any:
    kind = get_type_hints(Settings)[name]
    try:
        converted = msgspec.convert(value, kind)
        if kind == tuple[str, ...]:
            Networks(converted)
    except ValueError as error:  # msgspec's ValidationError is one
        expected = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            tuple[str, ...]: 'a list of networks, such as ["10.0.0.0/8"]',
        }[kind]
        raise CommandError(f"The configuration {path} has {name} = {value!r}: expected {expected}.") from error
    return converted


def office_of(db: str) -> AbstractContextManager[Office]:
    """The ledger of the URL `db`, for the person who runs this command."""
    return open_office(db, Settings(), now_microseconds, this_user("command line"))


def checked(value: str, kind: Any, expected: str) -> str:
    """`value` if it is valid for the message type `kind`, else CommandError."""
    try:
        return str(msgspec.convert(value, kind))
    except msgspec.ValidationError as error:
        raise CommandError(f"Expected {expected}, got {value[:SHOWN_ARGUMENT_LENGTH_MAX]!r}.") from error


def told(row: Any) -> dict[str, Any]:
    """The fields of the dataclass `row` for JSON; microseconds in fields that end in `_at` become datetimes."""
    return _told(asdict(row))


def _told(fields_of_row: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in fields_of_row.items():
        if isinstance(value, list):
            shown[name] = [_told(each) if isinstance(each, dict) else each for each in value]
        else:
            shown[name] = instant(value) if name.endswith("_at") and value is not None else value
    return shown


def counted(number: int, noun: str, plural: str = "s") -> str:
    """`number` and `noun`, in the plural unless it is one: "1 row", "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def when(microseconds: int | None) -> str:
    """An instant in the time zone of this machine; empty for None."""
    return "" if microseconds is None else f"{instant(microseconds).astimezone():%Y-%m-%d %H:%M:%S}"


def offset(milliseconds: int | None) -> str:
    """How far a till's clock is off, in seconds: `+3600.0 s` is an hour ahead; empty for None."""
    return "" if milliseconds is None else f"{milliseconds / 1_000:+.1f} s"
