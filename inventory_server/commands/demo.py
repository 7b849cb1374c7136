"""`inventory-server demo`: a simulated day from the first delivery to the proof."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from msgspec import Raw

from inventory_server.commands.database import show_proof
from inventory_server.commands.signals import stop_signals
from inventory_server.commands.user import invite
from inventory_server.commands.web import web_address, web_process
from inventory_server.demo.chain import COUNTED_STORE, OFFLINE_TILL, STORES, terminals
from inventory_server.demo.day import Demo
from inventory_server.demo.limits import ROWS_SHOWN_MAX
from pos_client.commands import console, stock_report
from pos_client.protocol.messages import StockParams, StockResult


@click.command("demo")
@click.option("--baskets", type=click.IntRange(50, 100_000), default=200, show_default=True, help="Sales per till.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the simulated day.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="An empty folder in which to keep the ledger; a temporary one by default.",
)
@click.option(
    "--web",
    metavar="HOST:PORT",
    help="Then serve headquarters' pages with the day's data on this address, until Ctrl-C.",
)
def demo(baskets: int, seed: int, folder: Path | None, web: str | None) -> int:
    """Run a simulated day of a small chain through real tills and sockets, then prove the stock.

    Exit code 0 only if HQ's stock equals what is on every shelf and the proof holds.
    """
    if web is not None:
        web_process()
        web_address(web)
    if folder is not None:
        if any(folder.iterdir()):
            raise console.CommandError(f"The folder {folder} is not empty: name an empty one.")
        return _run(folder, baskets, seed, web)
    with tempfile.TemporaryDirectory(prefix="tillwire-demo-") as temporary:
        return _run(Path(temporary), baskets, seed, web)


def _run(folder: Path, baskets: int, seed: int, web: str | None) -> int:
    outcome = _run_day(folder, baskets, seed)
    if web is not None:
        _serve_pages(f"sqlite:///{folder / 'demo.db'}", web)
    return outcome


def _serve_pages(db: str, web: str) -> None:
    """Serve the day's ledger, with a first user, until Ctrl-C or SIGTERM: the server gets a Ctrl-C, too."""
    wait = stop_signals()
    link, _ = invite(db, "demo", "admin")
    command = ["serve", "--db", db, "--listen", "127.0.0.1:0", "--web", web]
    with subprocess.Popen([sys.executable, "-m", "inventory_server.cli", *command]) as server:  # noqa: S603 (ours)
        console.say()
        console.say(f"Set a password and look at the day: http://{web}/welcome#{link} (Ctrl-C ends it)")
        sys.stdout.flush()
        wait()
        server.terminate()


def _run_day(folder: Path, baskets: int, seed: int) -> int:
    with Demo(folder, baskets, seed) as chain:
        console.say(
            f"{len(STORES)} stores and a warehouse, {len(terminals())} tills, {len(chain.products)} products; "
            f"the ledger is {chain.db}"
        )
        _trade(chain)
        _evening(chain)
        return _show_proof(chain)


def _trade(chain: Demo) -> None:
    console.say()
    console.say(f"Trading the day: {chain.size:,} documents …")
    began = time.monotonic()
    with console.progress_bar("trading, documents", chain.size) as progress:
        chain.trade(progress)
    seconds = time.monotonic() - began
    console.say(f"Done in {seconds:.1f} s. {OFFLINE_TILL} was offline: its sales are only in its outbox.")


def _evening(chain: Demo) -> None:
    """What a count finds before and after the offline till has delivered."""
    sku = chain.plan.missed
    name = next(product.name for product in chain.products if product.sku == sku)
    counted = [sku for sku, _ in chain.plan.count.lines]
    console.say(f"\nStock of the SKUs counted in {COUNTED_STORE}, while {OFFLINE_TILL} is offline:")
    _show(chain.ask(StockParams(skus=counted, location=COUNTED_STORE)))
    console.say(f"The count of {sku} ({name}) differs from the book by {chain.variance()}.")
    console.say(f"\n{OFFLINE_TILL} is online again and delivers {chain.mend_cable()} documents.")
    console.say(f"The same count now differs by {chain.variance()}: that is the real shrinkage.")
    _show(chain.ask(StockParams(skus=counted[:1], location=COUNTED_STORE)))
    console.say("\nA reservation in Oldtown, a delivery in transit to Hillside:")
    _show(chain.ask(StockParams(sku=chain.products[0].sku)))
    console.say("\nAvailable stock below the reorder point:")
    _show(chain.ask(StockParams(below=Raw(b'"reorder_point"'), limit=5_000)))


def _show(answer: StockResult) -> None:
    words = stock_report.StockReport(datetime.now(UTC), None)
    console.print_table(stock_report.COLUMNS, [words.row(item) for item in answer.items[:ROWS_SHOWN_MAX]])
    if len(answer.items) > ROWS_SHOWN_MAX:
        console.say(f"… and {len(answer.items) - ROWS_SHOWN_MAX:,} more.")
    for place in sorted(answer.completeness):
        console.say(words.completeness(place, answer.completeness[place]))


def _show_proof(chain: Demo) -> int:
    wrong: Sequence[str] = chain.wrong_shelves()
    console.say(f"\nShelves on which HQ's stock is wrong: {len(wrong)} of {len(chain.plan.shelves):,}.")
    for sentence in wrong[:ROWS_SHOWN_MAX]:
        console.say(sentence, err=True)
    proof = chain.prove()
    show_proof(proof)
    return console.OK if proof.holds and not wrong else console.FOUND_PROBLEMS
