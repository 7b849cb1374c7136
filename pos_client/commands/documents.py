"""`stock-query transfers` and `stock-query reservations`: what is on the road, and who holds what is reserved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from pos_client.commands.asking import given, list_all, listing, shown, skus_argument
from pos_client.commands.stock_report import StockReport, quantity
from pos_client.protocol.lists import (
    ListedReservation,
    ListedTransfer,
    ReservationsParams,
    ReservationsResult,
    TransfersParams,
    TransfersResult,
)

_TRANSFER_COLUMNS = {
    "sent at": False,
    "from": False,
    "to": False,
    "sku": False,
    "sent": True,
    "received": True,
    "closed": True,
    "on the road": True,
    "reference": False,
    "terminal": False,
    "id": False,
}
_RESERVATION_COLUMNS = {
    "reserved at": False,
    "until": False,
    "location": False,
    "sku": False,
    "reserved": True,
    "left": True,
    "reference": False,
    "terminal": False,
    "id": False,
}


@click.command("transfers")
@skus_argument
@listing
def transfers(skus: tuple[str, ...], **options: Any) -> int:
    """List the transfers of which something is on the road, the longest on the road first.

    --location is where they come from or go to, --from and --to are when they were sent.
    """
    answer: TransfersResult = list_all(
        "transfers", TransfersParams(skus=given(list(skus) or None)), "transfers", options
    )
    report = StockReport(datetime.now(UTC), None)
    rows = [_transfer(each, report) for each in answer.transfers]
    return shown(answer, options["as_json"], _TRANSFER_COLUMNS, rows, "Nothing is on the road.")


def _transfer(transfer: ListedTransfer, report: StockReport) -> list[str]:
    figures = (transfer.sent, transfer.received, transfer.closed, transfer.left)
    return [
        report.instant(transfer.sent_at),
        transfer.from_,
        transfer.to,
        transfer.sku,
        *map(quantity, figures),
        transfer.reference or "",
        transfer.terminal,
        str(transfer.id),
    ]


@click.command("reservations")
@skus_argument
@listing
def reservations(skus: tuple[str, ...], **options: Any) -> int:
    """List what is reserved, by whom and until when, the oldest first.

    --from and --to are when it was reserved.
    """
    question = ReservationsParams(skus=given(list(skus) or None))
    answer: ReservationsResult = list_all("reservations", question, "reservations", options)
    report = StockReport(datetime.now(UTC), None)
    rows = [_reservation(each, report) for each in answer.reservations]
    return shown(answer, options["as_json"], _RESERVATION_COLUMNS, rows, "Nothing is reserved.")


def _reservation(reservation: ListedReservation, report: StockReport) -> list[str]:
    return [
        report.instant(reservation.reserved_at),
        report.instant(reservation.expires_at),
        reservation.location,
        reservation.sku,
        quantity(reservation.reserved),
        quantity(reservation.left),
        reservation.reference or "",
        reservation.terminal,
        str(reservation.id),
    ]
