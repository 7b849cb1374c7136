"""`inventory-server product`: what the catalogue lists, a single product of it, and two that are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import click

from inventory_server.commands.complete import skus
from inventory_server.commands.options import checked, counted, db_option, json_option, office_of
from inventory_server.domain.answers import Catalogue, ProductCard, ProductTerms
from inventory_server.domain.product import FIELDS, Product
from inventory_server.domain.requests import ListProducts, MergeProducts, RemoveProduct, ShowProduct
from inventory_server.imports.catalog_rows import catalog_rows
from pos_client.commands import console
from pos_client.protocol.fields import Sku
from pos_client.protocol.units import unscaled

_COLUMNS = {field.name.replace("_", " "): field.name not in ("location", "supplier") for field in fields(ProductTerms)}

_LISTED = {
    "sku": False, "name": False, "unit": False, "barcodes": False, "reorder point": True, "supplier": False,
    "locations": False,
}  # fmt: skip


@click.group("product")
def product() -> None:
    """The products of the catalogue: list, show, export, remove and merge them."""


@product.command("list")
@db_option
@json_option
def listing(db: str, as_json: bool) -> int:
    """List the products of the catalogue."""
    with office_of(db) as office:
        catalogue: Catalogue = office.ask(ListProducts())
    if as_json:
        console.print_json([_summary(each) for each in catalogue.products])
        return console.OK
    console.print_table(_LISTED, [[_shown(_listed(each)[name]) for name in _LISTED] for each in catalogue.products])
    console.say(f"{counted(len(catalogue.products), 'product')}, {counted(len(catalogue.suppliers), 'supplier')}.")
    return console.OK


@product.command("export")
@click.option("--format", "form", type=click.Choice(["csv", "xlsx"]), default="csv", show_default=True)
@console.safe_option
@db_option
def export(form: str, safe: bool, db: str) -> int:
    """Write the catalogue to standard output as `catalog import` reads it: suppliers, products, locations.

    With --safe it is for people to look at, as an apostrophe is part of what is imported again; a workbook is both.
    """
    if safe and form != "csv":
        raise click.UsageError("--safe is for --format csv; a workbook is safe as it is.")
    with office_of(db) as office:
        console.print_export(form, safe, FIELDS, list(catalog_rows(office.ask(ListProducts()))))
    return console.OK


@product.command("remove")
@click.argument("sku", shell_complete=skus)
@db_option
@json_option
def remove(sku: str, db: str, as_json: bool) -> int:
    """Take the product SKU off the catalogue, with its barcodes. Its history stays.

    It is refused while any of it is in stock or on the road.
    """
    checked(sku, Sku, "a SKU of 1 to 64 characters without control characters")
    with office_of(db) as office:
        office.change(RemoveProduct(sku))
    console.say_or_json(as_json, f"The catalogue lists {sku} no more; its history stays.", sku=sku)
    return console.OK


@product.command("show")
@click.argument("sku", shell_complete=skus)
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
    named = [part for part in (card.name, card.unit, *_codes(card.barcodes, card.packs)) if part]
    console.say(", ".join([card.sku, *named]))
    console.print_table(_COLUMNS, [_row(terms) for terms in card.terms])
    return console.OK


@product.command("merge")
@click.argument("merge", metavar="FROM", shell_complete=skus)
@click.argument("into", metavar="INTO", shell_complete=skus)
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
    return list(map(_shown, asdict(terms).values()))


def _summary(product: Product) -> dict[str, Any]:
    """What a list says of a product, by the names of its columns."""
    return {
        "sku": product.sku,
        "name": product.name,
        "unit": product.unit,
        "barcodes": list(product.barcodes),
        "packs": product.packs,
        "reorder_point": None if product.reorder_point is None else unscaled(product.reorder_point),
        "supplier": product.supplier,
        "locations": [each.location for each in product.ranged or ()],
    }


def _listed(product: Product) -> dict[str, Any]:
    """The row of a product in a table."""
    told = {name.replace("_", " "): value for name, value in _summary(product).items()}
    return {**told, "barcodes": _codes(product.barcodes, product.packs)}


def _codes(barcodes: Sequence[str], packs: Mapping[str, int]) -> list[str]:
    """Barcodes, each with the units that it stands for if they are not one."""
    return [f"{code}={packs[code]}" if code in packs else code for code in barcodes]


def _shown(value: Any) -> str:
    """A cell of a table."""
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else str(value)
