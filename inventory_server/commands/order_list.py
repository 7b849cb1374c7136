"""`inventory-server order-list`: what to order, of whom and by when, and what is marked as ordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any

import click
from click.core import ParameterSource

from inventory_server.commands.complete import locations, skus
from inventory_server.commands.options import checked, counted, db_option, json_option, office_of, told, when
from inventory_server.domain.order_lines import OrderLine, OrderList, OrderMark
from inventory_server.domain.requests import ListOrder, ListOrdered, MarkOrdered, UnmarkOrdered
from pos_client.commands import console
from pos_client.commands.stock_report import StockReport
from pos_client.files.exporting import ExportCell
from pos_client.files.numbers import read_quantity
from pos_client.protocol.fields import Location, Sku
from pos_client.protocol.units import Quantity, instant, micros

_FIELDS = tuple(field.name for field in fields(OrderLine))
_COLUMNS = {
    "supplier": False,
    "order by": False,
    "order": True,
    "packs": False,
    "sku": False,
    "name": False,
    "deliver to": False,
    "available": True,
    "in transit": True,
    "days left": True,
    "why": False,
    "sum": False,
}
_MARKS = {
    "location": False,
    "sku": False,
    "ordered": True,
    "still to come": True,
    "expected": False,
    "marked at": False,
    "marked by": False,
}
_LOCATION_EXPECTED = "a location of 1 to 64 characters without control characters"
_SKU_EXPECTED = "a SKU of 1 to 64 characters without control characters"
_location_option = click.option(
    "--location", "places", multiple=True, metavar="LOCATION", shell_complete=locations, help="Only this location's."
)


class OrderedQuantity(click.ParamType[Quantity]):
    """An exact quantity."""

    name = "quantity"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Quantity:
        """The quantity that is written."""
        try:
            return read_quantity(str(value))
        except ValueError as error:
            return self.fail(f"expected {error}, got {value!r}", param, ctx)


class DeliveryDay(click.ParamType[date]):
    """A day, as in ISO 8601."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day that is written."""
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            return self.fail(f"expected a date like 2026-03-19, got {value!r}", param, ctx)


class MarkInstant(click.ParamType[int]):
    """An instant with its offset, in microseconds."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The instant that is written."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            moment = datetime.min  # noqa: DTZ901 (has no offset, so that it is refused below)
        if moment.tzinfo is None:
            self.fail(f"expected an instant like 2026-03-17T07:42:00.123456Z, got {value!r}", param, ctx)
        return micros(moment)


@click.group("order-list", invoke_without_command=True)
@_location_option
@click.option("--supplier", "suppliers", multiple=True, metavar="NAME", help="Only this supplier's.")
@click.option("--sku", "products", multiple=True, metavar="SKU", shell_complete=skus, help="Only this product.")
@click.option("--by", type=DeliveryDay(), help="Only what has to be ordered on that day or before.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv", "xlsx"]), default="table", show_default=True
)
@console.safe_option
@db_option
@json_option
@click.pass_context
def order_list(
    context: click.Context,
    places: Sequence[str],
    suppliers: Sequence[str],
    products: Sequence[str],
    by: date | None,
    form: str,
    safe: bool,
    db: str,
    as_json: bool,
) -> int:
    """List what to order, of which supplier, by when and why: exit code 1 for unknown locations or suppliers.

    A quantity fills up to the reorder point and what sells until the order after this one arrives.
    """
    if context.invoked_subcommand is not None:
        if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in context.params):
            raise click.UsageError(f"Write options behind the command: order-list {context.invoked_subcommand} …")
        return console.OK
    if as_json and form in ("csv", "xlsx"):
        raise click.UsageError(f"Expected --json or --format {form}, got both.")
    if safe and form != "csv":
        raise click.UsageError("--safe is for --format csv; a workbook is safe as it is.")
    asked = ListOrder(list(places) or None, list(suppliers) or None, list(products) or None)
    with office_of(db) as office, console.progress_bar("Reading stock", 0) as progress:
        found: OrderList = office.ask(asked, progress)
    lines = [line for line in found.lines if by is None or line.order_by <= by]
    _show(found, lines, "json" if as_json else form, safe)
    for name in found.unknown:
        console.say(f"HQ knows no location or supplier {name}.", err=True)
    return console.FOUND_PROBLEMS if found.unknown else console.OK


def _show(found: OrderList, lines: list[OrderLine], form: str, safe: bool) -> None:
    if form == "json":
        shown = [told(line) for line in lines]
        facts = {"position": found.position, "asked_at": instant(found.asked_at), "total": found.total}
        console.print_json({**facts, "lines": shown, "completeness": found.completeness, "unknown": found.unknown})
        return
    if form == "table":
        console.say(_answer(lines))
        if lines:
            console.print_table(_COLUMNS, [_row(line) for line in lines])
    else:
        console.print_export(form, safe, _FIELDS, [[_cell(told(line)[name]) for name in _FIELDS] for line in lines])
    report = StockReport(datetime.now(UTC), None)
    named = {line.location for line in lines}
    for place in sorted(set(found.completeness) & named):
        console.say(report.completeness(place, found.completeness[place]), err=form != "table")
    if found.total > len(found.lines):
        console.say(
            f"… and {counted(found.total - len(found.lines), 'line')} to be ordered later.", err=form != "table"
        )


def _answer(lines: list[OrderLine]) -> str:
    """What was found, in one sentence."""
    if not lines:
        return "Nothing has to be ordered."
    suppliers = len({line.supplier for line in lines if line.supplier is not None})
    of = f" of {counted(suppliers, 'supplier')}" if suppliers else ""
    sure = sum(line.is_sure for line in lines)
    doubt = "all are sure" if sure == len(lines) else f"{counted(len(lines) - sure, 'line')} may change (~)"
    return f"{counted(len(lines), 'line')} to order{of}, the first by {_by(lines[0])}; {doubt}."


def _by(line: OrderLine) -> str:
    return f"{line.order_by}" if line.order_by_hour is None else f"{line.order_by} {line.order_by_hour:02}:00"


def _row(line: OrderLine) -> list[str]:
    about = "" if line.is_sure else "~"
    packs = "" if line.packs is None else f"{line.packs} × {line.pack_size}"
    amounts = [
        f"{about}{line.available}",
        str(line.in_transit),
        "" if line.cover_days is None else str(line.cover_days),
    ]
    what = [str(line.quantity), packs, line.sku, line.name or "", line.location or ""]
    return [line.supplier or "", _by(line), *what, *amounts, line.why, line.sum]


def _cell(value: Any) -> ExportCell:
    """A field for a spreadsheet."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


@order_list.command("mark")
@click.argument("sku", shell_complete=skus)
@click.argument("quantity", type=OrderedQuantity())
@click.option("--location", required=True, shell_complete=locations, help="Where it is to be delivered.")
@click.option("--expected", required=True, type=DeliveryDay(), help="The day on which it comes.")
@db_option
@json_option
def mark(sku: str, quantity: Quantity, location: str, expected: date, db: str, as_json: bool) -> int:
    """Mark QUANTITY of SKU as ordered: the list counts on it until so much was received, or two days after its day."""
    checked(sku, Sku, _SKU_EXPECTED)
    checked(location, Location, _LOCATION_EXPECTED)
    with office_of(db) as office:
        marked_at: int = office.change(MarkOrdered(location, sku, quantity, expected))
    sentence = f"Marked {quantity} of {sku} as ordered for {location}, expected on {expected}."
    facts = {"sku": sku, "quantity": quantity, "location": location, "expected": expected}
    console.say_or_json(as_json, sentence, **facts, marked_at=instant(marked_at))
    return console.OK


@order_list.command("unmark")
@click.argument("sku", shell_complete=skus)
@click.option("--location", required=True, shell_complete=locations, help="Where it was to be delivered.")
@click.option(
    "--marked-at", type=MarkInstant(), help="Only the mark of this instant, as order-list marked --json has it."
)
@db_option
@json_option
def unmark(sku: str, location: str, marked_at: int | None, db: str, as_json: bool) -> int:
    """Take back the marks of SKU at a location: it was not ordered, or it will not come."""
    checked(sku, Sku, _SKU_EXPECTED)
    checked(location, Location, _LOCATION_EXPECTED)
    with office_of(db) as office:
        gone: int = office.change(UnmarkOrdered(location, sku, marked_at))
    sentence = f"Took back {counted(gone, 'mark')} of {sku} for {location}."
    console.say_or_json(as_json, sentence, sku=sku, location=location, taken_back=gone)
    return console.OK


@order_list.command("marked")
@_location_option
@db_option
@json_option
def marked(places: Sequence[str], db: str, as_json: bool) -> int:
    """List what is marked as ordered and has not come yet."""
    with office_of(db) as office:
        marks: list[OrderMark] = office.ask(ListOrdered(list(places) or None))
    if as_json:
        console.print_json([told(each) for each in marks])
    elif not marks:
        console.say("Nothing is marked as ordered.")
    else:
        console.print_table(_MARKS, [_mark_row(each) for each in marks])
    return console.OK


def _mark_row(each: OrderMark) -> list[str]:
    figures = [str(each.quantity), str(each.left), str(each.expected), when(each.marked_at)]
    return [each.location, each.sku, *figures, each.marked_by]
