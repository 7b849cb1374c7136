"""`stock-query changes`: how stock differs between two moments, and what moved it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from pos_client.commands.asking import KnownAt, ask_all, asking, given, locations_option, shown, skus_argument
from pos_client.commands.options import json_option
from pos_client.commands.stock_report import quantity
from pos_client.protocol.lists import ChangesParams, ChangesResult, ListedChange

_COLUMNS = {"location": False, "sku": False, "before": True, "after": True, "change": True, "what moved it": False}


@click.command("changes")
@skus_argument
@click.option("--from", "since", type=KnownAt(), required=True, help="What HQ knew then is compared …")
@click.option("--to", "until", type=KnownAt(), help="… with what it knew then; now, if not given.")
@locations_option
@json_option
@asking
def changes(
    skus: tuple[str, ...], since: datetime | int, until: datetime | int | None, locations: tuple[str, ...],
    as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """List what changed between two moments: the stock that HQ knew of before and after, and what moved it.

    A moment is an instant or a ledger position. A sale that arrived late belongs to the moment at which it arrived.
    """
    question = ChangesParams(
        since, skus=given(list(skus) or None), locations=given(list(locations) or None), to=given(until)
    )
    answer: ChangesResult = ask_all("changes", question, "changes", options)
    return shown(answer, as_json, _COLUMNS, [_row(each) for each in answer.changes], "Nothing changed.")


def _row(change: ListedChange) -> list[str]:
    figures = [quantity(each) for each in (change.before, change.after, change.change)]
    moved = ", ".join(f"{kind} {quantity(each)}" for kind, each in change.moved.items())
    return [change.location, change.sku, *figures, moved]
