"""Verification of packs: how many units of its product a line with a pack's barcode moved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from inventory_server.domain.inventory import Account, Movement
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.sql import plain_rows
from pos_client.protocol import gtin
from pos_client.protocol.control_totals import STOCK_SIGN
from pos_client.protocol.messages import Body, Line


class PackSizes:
    """How many units each barcode has ever stood for, beside one: a barcode of a pack has meant one of them."""

    def __init__(self, connection: Connection) -> None:
        self._units: dict[str, set[int]] = {}
        for code, units in plain_rows(connection, t.pack.select()):
            self._units.setdefault(code, {1}).add(units)

    def of(self, line: Line) -> set[int]:
        """How many units of its product one unit of a line may have been."""
        return self._units.get(gtin.padded(line.gtin), {1}) if isinstance(line.gtin, str) else {1}

    def in_units(self, body: Body, quantities: list[int], stored: Iterable[Movement]) -> list[int]:
        """The quantities of a body's lines in units of their products; only its movements tell which of the sizes."""
        sign = STOCK_SIGN.get(body.type)
        if not self._units or sign is None or not isinstance(body.lines, list):
            return quantities
        moved = [sign * each.quantity for each in stored if each.account is not Account.CARRIED]
        return [
            found if quantity and not found % quantity and found // quantity in self.of(line) else quantity
            for line, quantity, found in zip(body.lines, quantities, [*moved, *quantities[len(moved) :]], strict=False)
        ]

    def least_and_most(self, lines: Sequence[Line], quantities: Sequence[int]) -> tuple[int, int]:
        """Between what their sum may be in units of products; of lines without quantities, 0."""
        sums = [
            (min(quantity * units for units in self.of(line)), max(quantity * units for units in self.of(line)))
            for line, quantity in zip(lines, quantities, strict=True)
        ]
        return sum(low for low, _ in sums), sum(high for _, high in sums)
