"""Shell completion from the ledger: terminals, locations, products and postings, read without asking a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from inventory_server.admin.office import Office
from inventory_server.commands.options import office_of
from inventory_server.domain.requests import ListLocations, ListProducts, ListTerminals, ListWaiting
from pos_client.commands.complete import Offer, offered
from pos_client.protocol.errors import TillwireError


def _from_ledger(names: Callable[[Office], Iterable[str]]) -> Offer:
    """Offers what `names` finds in the ledger that the command line names; nothing where there is none."""

    def offer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del param
        try:
            with office_of(str(ctx.params.get("db"))) as office:
                return offered(names(office), incomplete)
        except TillwireError:  # a shell that completes has no place for an error: the command itself will say it
            return []

    return offer


terminals = _from_ledger(lambda office: [row.terminal for row in office.ask(ListTerminals())])
locations = _from_ledger(lambda office: [row.location for row in office.ask(ListLocations())])
skus = _from_ledger(lambda office: [product.sku for product in office.ask(ListProducts()).products])
waiting_ids = _from_ledger(lambda office: [str(posting.id) for posting in office.ask(ListWaiting())])
