"""`inventory-server catalog`: the product catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import msgspec

from inventory_server.commands.options import counted, db_option, json_option, office_of
from inventory_server.config import IMPORT_CHUNK_BYTES
from inventory_server.domain.product import Product
from inventory_server.domain.requests import ImportProducts
from inventory_server.imports.catalog_csv import FIELDS, read_catalog
from pos_client.commands import console
from pos_client.files.csv_reader import Problem


@click.group("catalog")
def catalog() -> None:
    """The product catalogue: names, units, barcodes, reorder points."""


@catalog.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--column", "columns", multiple=True, callback=console.pairs, metavar="FIELD=COLUMN",
    help=f"The COLUMN that holds FIELD, if it has another name; FIELD is one of {', '.join(FIELDS)}; repeatable.",
)  # fmt: skip
@click.option("--delimiter", default=",", help="Column separator; a comma by default.")
@db_option
@json_option
def import_catalog(file: Path, columns: Sequence[tuple[str, str]], delimiter: str, db: str, as_json: bool) -> int:
    """Import the products in CSV FILE (also .csv.gz), replacing the data of the SKUs in it.

    An invalid row is reported with file and line and skipped; the exit code is then 1.
    """
    for field, _ in columns:
        if field not in FIELDS:
            raise click.BadParameter(f"{field!r} is not a product field: expected {', '.join(FIELDS)}.")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise click.BadParameter(f"--delimiter: expected one character, got {delimiter!r}.")
    problems: list[Problem] = []
    report = _both(problems.append, lambda problem: console.say(str(problem), err=True))
    products = read_catalog(file, dict(columns), report, delimiter)
    listed = 0
    with office_of(db) as office, console.progress_bar("products", len(products)) as progress:
        for chunk in chunks(products):
            listed += office.change(ImportProducts(chunk))
            progress(listed)
    if as_json:
        console.print_json({"listed": listed, "not_mapped": len(problems)})
    else:
        skipped = f", skipped {counted(len(problems), 'row')}" if problems else ""
        console.say(f"Imported {counted(listed, 'product')}{skipped}.")
    return console.FOUND_PROBLEMS if problems else console.OK


def chunks(products: Sequence[Product]) -> Iterator[list[Product]]:
    """`products` in lists of at most `IMPORT_CHUNK_BYTES`."""
    chunk: list[Product] = []
    size = 0
    for product in products:
        size += len(msgspec.json.encode(product)) + 1
        if chunk and size > IMPORT_CHUNK_BYTES:
            yield chunk
            chunk, size = [], len(msgspec.json.encode(product)) + 1
        chunk.append(product)
    if chunk:
        yield chunk


def _both(first: Callable[[Problem], None], second: Callable[[Problem], None]) -> Callable[[Problem], None]:
    def report(problem: Problem) -> None:
        first(problem)
        second(problem)

    return report
