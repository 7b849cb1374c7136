"""`inventory-server catalog`: the product catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from inventory_server.admin.office import Office
from inventory_server.commands.catalog_changes import show_changes
from inventory_server.commands.file_options import file_options, writing
from inventory_server.commands.options import counted, db_option, json_option, office_of
from inventory_server.commands.stock_levels import stock_of
from inventory_server.config import IMPORT_CHUNK_BYTES
from inventory_server.domain.product import FIELDS
from inventory_server.domain.requests import FindBarcodes, ImportProducts, ListProducts
from inventory_server.imports.catalog_changes import changes_of
from inventory_server.imports.catalog_csv import Catalog, read_catalog
from pos_client.commands import console
from pos_client.files.problems import Problem
from pos_client.protocol.gtin import suspense_sku

_Listed = TypeVar("_Listed")


@click.group("catalog")
def catalog() -> None:
    """The product catalogue: names, units, barcodes, suppliers, and what to order when."""


@catalog.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@file_options(FIELDS)
@click.option("--move-barcodes", is_flag=True, help="Let a barcode of another product move to the one in the file.")
@click.option("--dry-run", is_flag=True, help="Only show what would be added, changed and cleared; import nothing.")
@db_option
@json_option
def import_catalog(file: Path, move_barcodes: bool, dry_run: bool, db: str, as_json: bool, **options: Any) -> int:
    """Import the products in FILE: CSV (compressed, too) or .xlsx. It changes what its columns name of the SKUs in it.

    Whatever is wrong is reported with line and column; nothing is imported then, and the exit code is 1. Only a barcode
    that is wrong keeps nothing else from being imported: its product keeps the barcodes it has.
    """
    written = writing(FIELDS, options)
    problems: list[Problem] = []
    report = _both(problems.append, lambda problem: console.say(str(problem), err=True))
    found = read_catalog(file, written.columns, report, written.form, written.decimal)
    if found.ignored:
        console.say(f"Ignored columns: {', '.join(found.ignored)}.", err=True)
    listed = posted_before = 0
    with office_of(db) as office:
        if not problems and not move_barcodes:
            _report_taken_barcodes(office, found, str(file), report)
        if dry_run and not problems:
            for problem in found.wrong_barcodes:
                console.say(str(problem), err=True)
            show_changes(changes_of(found, office.ask(ListProducts())), len(found.wrong_barcodes), as_json)
            return console.FOUND_PROBLEMS if found.wrong_barcodes else console.OK
        if not problems:
            listed = _import(office, found)
            posted_before = _report_packs_posted_before(office, found)
    for problem in found.wrong_barcodes:
        console.say(str(problem), err=True)
    _show(listed, len(found.suppliers), len(problems), len(found.wrong_barcodes), as_json)
    return console.FOUND_PROBLEMS if problems or found.wrong_barcodes or posted_before else console.OK


def _report_packs_posted_before(office: Office, found: Catalog) -> int:
    """Say what is left of what was posted by the barcodes of packs before they were known as such; return how many.

    It counted packs, and is not merged into the product, which counts units.
    """
    packs = {suspense_sku(code): (each.sku, units) for each in found.products for code, units in each.packs.items()}
    posted = 0
    for page in stock_of(office, sorted(packs)):
        for item in page.items:
            if item.location is not None and item.on_hand:
                posted += 1
                sku, units = packs[item.sku]
                posted_as = f"{item.location}: {item.on_hand} of {item.sku} were posted"
                before = f"{posted_as} before it was a pack of {units} of {sku}"
                remedy = f"count it as 0, and {sku} as it is (inventory-server stock import)"
                console.say(f"{before}, and stay there: {remedy}", err=True)
    return posted


def _report_taken_barcodes(office: Office, found: Catalog, file: str, report: Callable[[Problem], None]) -> None:
    """Report the barcodes that are listed for a product that is not in the file, which would lose them."""
    skus = {product.sku for product in found.products}
    for code, (sku, _) in office.ask(FindBarcodes(list(found.scanned))).items():
        if sku not in skus:
            reason = f"barcode: expected one that no other product has, got {code}, which is listed for {sku!r}"
            report(Problem(file, found.scanned[code], f"{reason}; move it with: --move-barcodes"))


def _import(office: Office, found: Catalog) -> int:
    """Import what a file says, a part that fits one request after the other; return the number of products."""
    for suppliers in chunks(found.suppliers):
        office.change(ImportProducts([], suppliers, found.columns))
    listed = 0
    without_barcodes = tuple(name for name in found.columns if name not in ("barcode", "barcode_units"))
    kept = [product for product in found.products if product.sku in found.with_wrong_barcodes]
    others = [product for product in found.products if product.sku not in found.with_wrong_barcodes]
    with console.progress_bar("products", len(found.products)) as progress:
        for columns, listed_products in ((found.columns, others), (without_barcodes, kept)):
            for products in chunks(listed_products):
                listed += office.change(ImportProducts(products, columns=columns))
                progress(listed)
    return listed


def _show(listed: int, suppliers: int, problems: int, wrong_barcodes: int, as_json: bool) -> None:
    if as_json:
        told = {
            "listed": listed,
            "suppliers": 0 if problems else suppliers,
            "not_mapped": problems,
            "wrong_barcodes": wrong_barcodes,
        }
        console.print_json(told)
    elif problems:
        console.say(f"Nothing was imported: correct the {counted(problems, 'problem')} and import the file again.")
    else:
        others = f" and {counted(suppliers, 'supplier')}" if suppliers else ""
        console.say(f"Imported {counted(listed, 'product')}{others}.")
        if wrong_barcodes:
            console.say(f"Correct the {counted(wrong_barcodes, 'barcode')} and import the file again.")


def chunks(listed: Sequence[_Listed]) -> Iterator[list[_Listed]]:
    """`listed` in lists of at most `IMPORT_CHUNK_BYTES`."""
    chunk: list[_Listed] = []
    size = 0
    for one in listed:
        size += len(msgspec.json.encode(one)) + 1
        if chunk and size > IMPORT_CHUNK_BYTES:
            yield chunk
            chunk, size = [], len(msgspec.json.encode(one)) + 1
        chunk.append(one)
    if chunk:
        yield chunk


def _both(first: Callable[[Problem], None], second: Callable[[Problem], None]) -> Callable[[Problem], None]:
    def report(problem: Problem) -> None:
        first(problem)
        second(problem)

    return report
