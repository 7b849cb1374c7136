"""Shell completion from HQ for `stock-query`: products, locations, terminals and references, within two seconds.

At the prompt of a till (`TILLWIRE_OUTBOX` is set) its outbox is looked at instead: whoever says hello in a till's name
interrupts that till.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem
from msgspec import UNSET

from pos_client.commands.complete import Offer, offered, outbox_locations, outbox_skus, outbox_terminals
from pos_client.commands.known import Ask, known_locations, known_references, known_skus, known_terminals
from pos_client.commands.limits import COMPLETION_SECONDS
from pos_client.commands.server_options import Hq
from pos_client.protocol.errors import TillwireError
from pos_client.protocol.fields import ASKING_TERMINAL
from pos_client.protocol.messages import HelloParams

PROGRAM = "stock-query"


def _from_hq(names: Callable[[Ask, str], Iterable[object]], at_till: Offer | None = None) -> Offer:
    """Offers what `names` finds at HQ for the beginning of a word; nothing where HQ does not answer in time."""

    def offer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        if outbox := os.environ.get("TILLWIRE_OUTBOX"):
            ctx.params["outbox"] = Path(outbox)
            return [] if at_till is None else at_till(ctx, param, incomplete)
        with suppress(TillwireError):  # a shell that completes has no place for an error: the command itself says it
            return offered(_asked(ctx, lambda ask: list(names(ask, incomplete))), incomplete)
        return []

    return offer


def _asked(ctx: click.Context, question: Callable[[Ask], list[object]]) -> list[object]:
    """What HQ tells the terminal that the command line or the environment names."""
    server = ctx.params.get("server")
    if not isinstance(server, Hq):
        return []
    end = time.monotonic() + COMPLETION_SECONDS

    def left() -> float:
        return max(0.01, end - time.monotonic())

    connection = server.connect(left())
    try:
        token = ctx.params.get("token") or UNSET
        connection.hello(HelloParams(ctx.params.get("terminal") or ASKING_TERMINAL, token, app=PROGRAM), left())
        found = question(lambda method, params: connection.request(method, params, left()))
        connection.request("bye", None, left())
        return found
    finally:
        connection.close()


skus = _from_hq(known_skus, outbox_skus)
locations = _from_hq(lambda ask, _: known_locations(ask), outbox_locations)
terminals = _from_hq(lambda ask, _: known_terminals(ask), outbox_terminals)
references = _from_hq(lambda ask, _: known_references(ask))
