"""`inventory-server product`: a single product of the catalogue, and two that are one."""

from __future__ import annotations

from dataclasses import asdict, fields

import click

from inventory_server.commands.options import checked, db_option, json_option, office_of
from inventory_server.domain.answers import ProductCard, ProductTerms
from inventory_server.domain.requests import MergeProducts, ShowProduct
from pos_client.commands import console
from pos_client.protocol.fields import Sku

_COLUMNS = {field.name.replace("_", " "): field.name not in ("location", "supplier") for field in fields(ProductTerms)}


@click.group("product")
def product() -> None:
    """A single product of the catalogue."""


@product.command("show")
@click.argument("sku")
@db_option
@json_option
def show(sku: str, db: str, as_json: bool) -> int:
    """Show what the catalogue says of the product SKU, and what applies at each of its locations."""
    checked(sku, Sku, "a SKU of 1 to 64 characters without control characters")
    with office_of(db) as office:
        card: ProductCard = office.ask(ShowProduct(sku))
    if as_json:
        console.print_json(asdict(card))
        return console.OK
    named = [part for part in (card.name, card.unit, *card.barcodes) if part]
    console.say(", ".join([card.sku, *named]))
    console.print_table(_COLUMNS, [_row(terms) for terms in card.terms])
    return console.OK


@product.command("merge")
@click.argument("merge", metavar="FROM")
@click.argument("into", metavar="INTO")
@db_option
@json_option
def merge_products(merge: str, into: str, db: str, as_json: bool) -> int:
    """Merge the product FROM into INTO: from now on its stock and its documents are INTO's.

    A merge is a posting of HQ in the ledger; an operator can void it, then all is as if it had never been.
    """
    for sku in (merge, into):
        checked(sku, Sku, "a SKU of 1 to 64 characters without control characters")
    with office_of(db) as office:
        position = office.change(MergeProducts(merge, into))
    if as_json:
        console.print_json({"merge": merge, "into": into, "position": position})
    else:
        console.say(f"Merged {merge} into {into}, at position {position}.")
    return console.OK


def _row(terms: ProductTerms) -> list[str]:
    return ["" if value is None else str(value) for value in asdict(terms).values()]
