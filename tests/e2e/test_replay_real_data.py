"""Real sales through real processes and sockets: every (location, sku) ends at exactly the expected quantity.

The data is not part of the project. It is looked for beside the checkout, or where TILLWIRE_SHARED_DATA says.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pos_client.transport.request_once import request_once
from tests.support.processes import ROOT, Server, argv, environment, run
from tests.support.sites import PostgresSite
from tests.support.waiting import HANG_SECONDS, wait_until

DATA = Path(os.environ.get("TILLWIRE_SHARED_DATA", ROOT.parent / "shared" / "data"))
WEEKS = sorted((DATA / "dunnhumby_lgsr_2006").glob("lines_*.csv.gz"))

Key = tuple[str, str]
Net = dict[Key, Decimal]

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the sales data in {DATA} (or TILLWIRE_SHARED_DATA)"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path)
    started.start()
    yield started
    started.stop()


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        yield from csv.DictReader(text)


def oracle(path: Path, location: str, sku: str) -> Net:
    """The figures that lie beside the data."""
    return {(row[location], row[sku]): Decimal(row["net_quantity"]) for row in rows_of(path)}


def summed(paths: list[Path], location: Callable[[dict[str, str]], str], sku: str, quantity: str) -> Net:
    """An independent sum over the lines themselves."""
    net: Net = Counter()  # type: ignore[assignment]
    for path in paths:
        for row in rows_of(path):
            net[location(row), row[sku]] += Decimal(row[quantity])
    return dict(net)


def mapping(name: str) -> Path:
    return ROOT / "examples" / "mappings" / f"{name}.toml"


def replay_command(server: Server, name: str, *files: Path) -> list[str]:
    return argv("pos-client", "replay", "--json", "--server", server.address, "--mapping", mapping(name), *files)


def replay(server: Server, name: str, *files: Path) -> dict[str, Any]:
    """Replay `files` to the end, with nothing wrong; print how fast that was."""
    done = subprocess.run(
        replay_command(server, name, *files), env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    summary: dict[str, Any] = json.loads(done.stdout)
    print(f"{name}: {summary['postings']} sales, {summary['rows']} lines, {summary['locations']} locations: "
          f"read in {summary['reading_seconds']} s, posted in {summary['posting_seconds']} s, "
          f"{summary['sales_per_second']} sales/s, {summary['posted']} new")  # fmt: skip
    return summary


def on_hand(server: Server) -> Net:
    """Every level HQ knows, asked over the wire."""
    done = run("stock-query", "--server", server.address, "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = csv.DictReader(done.stdout.splitlines())
    return {(row["location"], row["sku"]): Decimal(row["on_hand"]) for row in rows}


def assert_sold(server: Server, net: Net) -> None:
    """What was sold is missing from stock, for every key and exactly."""
    expected = {key: -quantity for key, quantity in net.items()}
    found = on_hand(server)
    wrong = {key: (found.get(key), expected.get(key)) for key in found.keys() | expected.keys()
             if found.get(key) != expected.get(key)}  # fmt: skip
    assert wrong == {}


def assert_proven(server: Server) -> None:
    done = run("inventory-server", "verify", "--db", server.db, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["mismatches"] == 0


def completejourney() -> tuple[Path, Net]:
    folder = DATA / "completejourney"
    return folder / "transactions_100k.csv.gz", oracle(
        folder / "expected_net_by_store_product.csv.gz", "store_id", "product_id"
    )


def coffee() -> tuple[Path, Net]:
    folder = DATA / "ibm_coffee"
    return folder / "sales_receipts_2019-04.csv.gz", oracle(
        folder / "expected_net_by_outlet_product.csv.gz", "sales_outlet_id", "product_id"
    )


def uci() -> tuple[Path, Net]:
    path = DATA / "uci_online_retail" / "dev_sample_2010-12-01_to_05.csv.gz"
    return path, summed([path], lambda _: "UK", "StockCode", "Quantity")


def test_a_grocery_chain_is_counted_exactly_and_a_second_replay_changes_nothing(server: Server) -> None:
    path, net = completejourney()
    first = replay(server, "completejourney", path)
    assert (first["rows"], first["locations"], first["posted"]) == (100_000, 308, 56_625)
    assert_sold(server, net)
    second = replay(server, "completejourney", path)
    assert (second["posted"], second["duplicate"]) == (0, 56_625)
    assert_sold(server, net)
    assert_proven(server)


def test_a_grocery_chain_is_counted_exactly_by_workers_that_are_being_killed(
    postgres_site: PostgresSite, tmp_path: Path
) -> None:
    config = tmp_path / "hq.toml"
    config.write_text("accept_weak_durability = true\nmax_postings = 40\n")
    server = Server(tmp_path, "--config", str(config), "--workers", "4", db=postgres_site.new())
    server.start()
    path, net = completejourney()
    chance, kills = random.Random(4), 0
    with subprocess.Popen(
        replay_command(server, "completejourney", path), env=environment(), stdout=subprocess.PIPE, text=True
    ) as running:
        while running.poll() is None:
            time.sleep(chance.uniform(0.2, 1))
            os.kill(chance.choice(server.workers), signal.SIGKILL)
            kills += 1
        assert running.stdout is not None
        summary = json.loads(running.stdout.read())
    print(f"{kills} workers killed; {summary['sales_per_second']} sales/s")
    assert running.returncode == 0
    assert kills >= 5
    assert summary["postings"] == summary["posted"] + summary["duplicate"] == 56_625
    assert_sold(server, net)
    assert_proven(server)
    assert server.stop() == 0


def test_receipt_numbers_that_start_again_every_day_are_different_receipts(server: Server) -> None:
    path, net = coffee()
    assert replay(server, "ibm_coffee", path)["posted"] == 39_271
    assert_sold(server, net)
    assert_proven(server)


def test_cancellations_odd_codes_and_rows_that_stand_twice_are_counted_in_any_order(
    server: Server, tmp_path: Path
) -> None:
    path, net = uci()
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        header, *lines = text.readlines()
    random.Random(1).shuffle(lines)
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("".join([header, *lines]), encoding="utf-8", newline="")
    assert replay(server, "uci_online_retail", shuffled)["posted"] == 535
    assert_sold(server, net)
    assert replay(server, "uci_online_retail", path)["duplicate"] == 535
    assert_sold(server, net)
    assert_proven(server)


@pytest.mark.skipif(not WEEKS, reason="needs the weeks of dunnhumby_lgsr_2006")
def test_weeks_of_full_baskets_are_counted_exactly(server: Server) -> None:
    replay(server, "dunnhumby_lgsr", *WEEKS)
    assert_sold(server, summed(WEEKS, lambda row: row["store_code"], "prod_code", "quantity"))
    assert_proven(server)


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[Server]:
    """A server that takes small frames only, so that a replay has a middle to be killed in."""
    config = tmp_path / "hq.toml"
    config.write_text("max_postings = 40\n")
    started = Server(tmp_path, "--config", str(config))
    started.start()
    yield started
    started.stop()


def start_replay(server: Server, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        replay_command(server, "ibm_coffee", path), env=environment(), stdout=subprocess.PIPE, text=True
    )


def wait_for_position(server: Server, wanted: int, running: subprocess.Popen[str]) -> None:
    def is_there() -> bool:
        assert running.poll() is None, "the replay ended before it could be killed in the middle"
        answer = request_once(server.address, "stock", {"sku": "1"}, terminal="watcher")
        return int(answer["position"]) >= wanted

    wait_until(is_there, f"position {wanted}")


def test_a_server_killed_three_times_under_a_replay_loses_and_doubles_nothing(slow_server: Server) -> None:
    path, net = coffee()
    running = start_replay(slow_server, path)
    for wanted in (5_000, 12_000, 20_000):
        wait_for_position(slow_server, wanted, running)
        slow_server.kill()
        slow_server.start()
    output, _ = running.communicate(timeout=HANG_SECONDS)
    assert running.returncode == 0
    assert json.loads(output)["postings"] == 39_271
    assert_sold(slow_server, net)
    assert_proven(slow_server)


def test_a_replay_killed_in_the_middle_is_run_again_and_doubles_nothing(slow_server: Server) -> None:
    path, net = coffee()
    for wanted, with_server in ((5_000, False), (12_000, True)):
        running = start_replay(slow_server, path)
        wait_for_position(slow_server, wanted, running)
        running.kill()
        if with_server:
            slow_server.kill()
            slow_server.start()
        running.communicate(timeout=HANG_SECONDS)
    assert replay(slow_server, "ibm_coffee", path)["duplicate"] >= 12_000
    assert_sold(slow_server, net)
    assert_proven(slow_server)
