"""Lists the locations that HQ knows, and sets their names, time zones and business days."""

from __future__ import annotations

from sqlalchemy import Connection, select

from inventory_server.domain.answers import LocationRow
from inventory_server.domain.business_day import UTC_NAME, time_zone
from inventory_server.domain.changes import RenameLocation, SetLocation
from inventory_server.domain.names import confusable
from inventory_server.store.admin.near import did_you_mean
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.documents import know_location
from pos_client.protocol.printable import escaped


def list_locations(connection: Connection) -> list[LocationRow]:
    """All locations in order of their codes, with the defaults of what nobody has set."""
    rows = connection.execute(select(t.location).order_by(t.location.c.location))
    return [LocationRow(row.location, row.name, row.time_zone or UTC_NAME, row.day_ends_hour or 0) for row in rows]


def name_location(connection: Connection, location: str) -> None:
    """Have HQ know a location by its name; StoreError for a new name that looks like another one."""
    is_known = connection.execute(select(t.location.c.location).where(t.location.c.location == location)).first()
    if is_known is None and (why := confusable(location)) is not None:
        raise StoreError(
            f"'{escaped(location)}' is no name for a location: {why}; choose one that reads as it is written."
        )
    know_location(connection, location)


def set_location(connection: Connection, change: SetLocation) -> None:
    """Set what is given, and have HQ know the location; StoreError for a time zone that does not exist."""
    if change.time_zone is not None:
        try:
            time_zone(change.time_zone)
        except LookupError as error:
            raise StoreError(str(error)) from error
    name_location(connection, change.location)
    given = {name: getattr(change, name) for name in ("name", "time_zone", "day_ends_hour")}
    values = {name: value for name, value in given.items() if value is not None}
    if values:
        connection.execute(t.location.update().where(t.location.c.location == change.location).values(**values))


def rename_location(connection: Connection, change: RenameLocation) -> None:
    """Change the name of a location; StoreError if HQ does not know it."""
    code = t.location.c.location
    renamed = connection.execute(t.location.update().where(code == change.location).values(name=change.name))
    if not renamed.rowcount:
        near = did_you_mean(connection, code, change.location)
        raise StoreError(f"HQ does not know location {change.location}; {near}see: inventory-server location list")
