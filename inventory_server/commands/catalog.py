"""`inventory-server catalog`: what is sold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import msgspec

from inventory_server.commands.options import db_option, json_option, office_of
from inventory_server.domain.product import Product
from inventory_server.domain.requests import ImportProducts
from inventory_server.imports.catalog_csv import FIELDS, read_catalog
from pos_client.commands import console
from pos_client.files.csv_reader import Problem

CHUNK_BYTES = 512 << 10
"""Products per command: half of what a frame to a running server may hold."""


@click.group("catalog")
def catalog() -> None:
    """The products: names, units, barcodes, reorder points."""


@catalog.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--column", "columns", multiple=True, callback=console.pairs, metavar="FIELD=COLUMN",
    help=f"Where a column has another name than {', '.join(FIELDS)}.",
)  # fmt: skip
@click.option("--delimiter", default=",", help="What separates the columns; a comma if not given.")
@db_option
@json_option
def import_catalog(file: Path, columns: Sequence[tuple[str, str]], delimiter: str, db: str, as_json: bool) -> int:
    """List the products in CSV FILE (also .csv.gz), replacing what was known of the same skus.

    A row that does not map is reported with file and line; the others are listed, and the exit code is 1.
    """
    for field, _ in columns:
        if field not in FIELDS:
            raise click.BadParameter(f"{field!r} is no field of a product: expected {', '.join(FIELDS)}.")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise click.BadParameter(f"--delimiter: expected one character, got {delimiter!r}.")
    problems: list[Problem] = []
    report = _both(problems.append, lambda problem: click.echo(str(problem), err=True))
    products = read_catalog(file, dict(columns), report, delimiter)
    listed = 0
    with office_of(db) as office, console.progress_bar("products", len(products)) as progress:
        for chunk in chunks(products):
            listed += office.change(ImportProducts(chunk))
            progress(listed)
    if as_json:
        click.echo(console.to_json({"listed": listed, "not_mapped": len(problems)}))
    else:
        click.echo(f"{listed:,} products listed, {len(problems):,} rows did not map.")
    return console.FOUND_PROBLEMS if problems else console.OK


def chunks(products: Sequence[Product]) -> Iterator[list[Product]]:
    """`products` in lists of at most `CHUNK_BYTES`."""
    chunk: list[Product] = []
    size = 0
    for product in products:
        size += len(msgspec.json.encode(product)) + 1
        if chunk and size > CHUNK_BYTES:
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
