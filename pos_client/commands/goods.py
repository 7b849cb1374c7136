"""`pos-client receive` and `pos-client count`: record deliveries and stock counts in the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from pos_client.commands.recording import goods, named_lines, record, recording
from pos_client.protocol.messages import Line


@click.command("receive")
@goods
@recording
def receive(lines: Sequence[Line], barcodes: Sequence[Line], **given: Any) -> int:
    """Record a delivery from outside; exit codes as for `sell`. Goods of another location: see `transfer in`."""
    received = named_lines(lines, barcodes)
    return record(lambda till, details: till.receive(received, **details), "the delivery", **given)


@click.command("count")
@goods
@recording
def count(lines: Sequence[Line], barcodes: Sequence[Line], **given: Any) -> int:
    """Record a stock count: QUANTITY is what is on hand, of products named twice the sum; exit codes as for `sell`."""
    counted = named_lines(lines, barcodes)
    return record(lambda till, details: till.count(counted, **details), "the count", **given)
