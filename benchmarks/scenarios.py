"""The scenarios: each function takes one side-by-side sample of everything a goal compares, by name.

Rates are per second, names ending in `_ms` milliseconds, in `_s` seconds, in `_kib` KiB; `_cpu_us` is the server's
processor time per sale in microseconds, `_switches` its context switches per sale.
"""

from __future__ import annotations

import gzip
import hashlib
import socket
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import postgres
from benchmarks.bench import PEERS, Bench
from benchmarks.load import Answers, Group, LoadError, build, drive
from benchmarks.load.groups import DRAINING_TILLS, TILLS
from benchmarks.servers import Server, free_port, python, running, script

Sample = dict[str, float]
IDLE_TILLS = 1_000
RUSH_TILLS = 200
RUSH_QUEUED = 250
RUSH_SECONDS_MAX = 30.0
SALE_BY_PGBENCH = Path(__file__).with_name("limits") / "sale.pgbench"
LISTING_PAGE = 10_000
COMPLETE_JOURNEY = "completejourney/transactions_100k.csv.gz"


class Skipped(Exception):
    """Raised if a scenario cannot be measured here; says why."""


def live(bench: Bench) -> Sample:
    """64 tills, one sale in flight each."""
    with bench.tillwire() as server:
        answers = bench.live(server)
    return {
        "live": answers.rate(),
        "live_p50_ms": answers.percentile(50),
        "live_p99_ms": answers.percentile(99),
        **_cost("live", server, answers),
    }


def _cost(name: str, server: Server, answers: Answers) -> Sample:
    sales = float(answers.sales.sum())
    return {f"{name}_cpu_us": server.cpu_seconds / sales * 1e6, f"{name}_switches": server.switches / sales}


def echo(bench: Bench) -> Sample:
    """L2, and the share of a processor that the load generator needs for it."""
    with bench.echo() as server:
        began = time.perf_counter()
        run = drive(server.port, bench.seconds, Group("post", "echo", TILLS, int(1_500 * bench.seconds), check=False))
        share = run.load_cpu_seconds / (time.perf_counter() - began)
        return {"L2": run.groups["echo"].rate(), "load_cpu_share": share}


def load_limit(bench: Bench) -> Sample:
    """The load generator's rate against an echo server in C."""
    port = free_port()
    with running([str(build("fastecho")), str(port)], port, bench.file("fastecho.log")) as server:
        seconds = min(1.0, bench.seconds)
        run = drive(server.port, seconds, Group("post", "load", TILLS, int(5_000 * seconds), check=False))
        return {"load_limit": run.groups["load"].rate()}


def peers(bench: Bench) -> Sample:
    """R1 to R4, each with as many of the same tills as it can serve."""
    found: Sample = {}
    for name, peer in PEERS.items():
        with bench.peer(peer) as server:
            answers = bench.peer_live(server, peer)
            found |= {name: answers.rate(), f"{name}_p50_ms": answers.percentile(50)}
            found[f"{name}_p99_ms"] = answers.percentile(99)
    return found


def drain(bench: Bench) -> Sample:
    """8 tills draining their outboxes through the socket."""
    with bench.tillwire() as server:
        answers = bench.drain(server)
    return {"drain": answers.rate(), "drain_p99_ms": answers.percentile(99), **_cost("drain", server, answers)}


def by_hand(bench: Bench) -> Sample:
    """L1 with 1, 100 and 1,000 sales a commit."""
    found: Sample = {}
    for per_commit in (1, 100, 1_000):
        database = bench.opened_shop("by-hand.db")
        told = bench.told(python("limits.raw_sqlite", database, per_commit, bench.seconds))
        found[f"L1_{per_commit}"] = told["sales"] / told["seconds"]
        found[f"L1_{per_commit}_commit_ms"] = sorted(told["commit_ms"])[len(told["commit_ms"]) // 2]
    return found


def lone(bench: Bench) -> Sample:
    """A lone till, one sale at a time."""
    with bench.tillwire() as server:
        answers = bench.live(server, tills=1)
        return {"lone_p50_ms": answers.percentile(50), "lone_p99_ms": answers.percentile(99)}


def idle(bench: Bench) -> Sample:
    """Memory of 1,000 tills that are idle after hello."""
    with bench.tillwire() as server:
        bench.live(server, tills=1)  # exclude what the server loads at its very first post
        before = server.resident_kib()
        sockets = [_greeted(server.port, number) for number in range(IDLE_TILLS)]
        time.sleep(0.5)
        after = server.resident_kib()
        for each in sockets:
            each.close()
    return {"idle_kib": (after - before) / IDLE_TILLS}


def _greeted(port: int, number: int) -> socket.socket:
    till = socket.create_connection(("127.0.0.1", port), timeout=30)
    params = f'{{"terminal":"idle-{number}","location":"store-01"}}'
    till.sendall(f'{{"jsonrpc":"2.0","id":0,"method":"hello","params":{params}}}\n'.encode())
    if b'"epoch"' not in till.recv(65_536):
        raise LoadError("An idle till was not welcomed.")
    return till


def old(bench: Bench) -> Sample:
    """The same as `drain` and `live` on a ledger of millions of movements."""
    with bench.tillwire(bench.old_ledger) as server:
        drained = bench.drain(server).rate()
        return {"old_drain": drained, "old_live": bench.live(server).rate()}


def stock(bench: Bench) -> Sample:
    """Stock of one SKU at one location, 64 clients, beside an echo of the same questions."""
    with bench.tillwire() as server:
        answers = bench.asked(server)
        found = {"stock": answers.rate(), "stock_p99_ms": answers.percentile(99)}
    with bench.echo() as server:
        return {**found, "stock_L2": bench.echoed(server, "stock").rate()}


def listing(bench: Bench) -> Sample:
    """All 100,000 levels in pages, beside a hand-written listing."""
    database = bench.opened_shop("tillwire.db")
    with bench.tillwire(database) as server, _greeted(server.port, 0) as asker:
        seconds, pages = _list_all(asker)
        told = bench.told(python("limits.raw_listing", database, LISTING_PAGE))
    digest = hashlib.sha256(b"".join(pages)).hexdigest()
    if told["digest"] != digest:
        raise LoadError("The listing by hand and the server's differ.")
    return {"listing_s": seconds, "listing_raw_s": told["seconds"]}


def _list_all(asker: socket.socket) -> tuple[float, list[bytes]]:
    lines = asker.makefile("rb")
    cursor, seconds, pages = "", 0.0, []
    while True:
        params = f'{{"limit":{LISTING_PAGE}{cursor}}}'
        began = time.perf_counter()
        asker.sendall(f'{{"jsonrpc":"2.0","id":1,"method":"stock","params":{params}}}\n'.encode())
        line = lines.readline()
        seconds += time.perf_counter() - began
        result = msgspec.json.decode(line, type=dict[str, msgspec.Raw])["result"]
        page = msgspec.json.decode(result, type=dict[str, Any])
        pages.append(bytes(msgspec.json.decode(result, type=dict[str, msgspec.Raw])["items"]))
        if not page.get("cursor"):
            return seconds, pages
        cursor = f',"cursor":"{page["cursor"]}"'


def rush(bench: Bench) -> Sample:
    """Live tills, one sale in flight each, while 200 others reconnect with 250 queued sales each."""
    return _rush(bench, "rush", 0)


def rush_paced(bench: Bench) -> Sample:
    """The same with live tills at ten sales a second each, which leaves the server mostly idle beforehand."""
    return _rush(bench, "rush_paced", 100_000)


def _rush(bench: Bench, name: str, pace_us: int) -> Sample:
    calm = max(1.0, bench.seconds)
    frames = int(RUSH_SECONDS_MAX * (1e6 / pace_us if pace_us else 600))
    tills = Group("post", "live", TILLS, frames, pace_us=pace_us)
    backlog = Group("post", "backlog", RUSH_TILLS, 1, batch=RUSH_QUEUED, start_ms=int(calm * 1e3), ends=True)
    with bench.tillwire() as server:
        run = drive(server.port, RUSH_SECONDS_MAX, tills, backlog, may_run_out=True)
    answers, queued = run.groups["live"], run.groups["backlog"]
    if len(queued.at) != RUSH_TILLS:
        raise LoadError(f"Of {RUSH_TILLS} backlogs only {len(queued.at)} were drained in {RUSH_SECONDS_MAX} s.")
    drained_at = float(queued.at.max())
    return {
        f"{name}_before_p99_ms": answers.percentile(99, calm / 4, calm),
        f"{name}_p99_ms": answers.percentile(99, calm, drained_at),
        f"{name}_drained_s": drained_at - calm,
        f"{name}_busy": queued.busy,
        f"{name}_live_busy": answers.busy,
    }


def sell(bench: Bench) -> Sample:
    """`sell()` on the till, beside a hand-written commit into the same tables."""
    folder = bench.file("till")
    folder.mkdir()
    told: Sample = bench.told(python("till", folder, bench.sales_on_till))
    for leftover in folder.iterdir():
        leftover.unlink()
    folder.rmdir()
    return told


def replay(bench: Bench) -> Sample:
    """`pos-client replay` of Complete Journey into an empty ledger, beside a hand-written one."""
    file = bench.data and bench.data / COMPLETE_JOURNEY
    if file is None or not file.exists():
        raise Skipped(f"{COMPLETE_JOURNEY} is not here; name its folder with --data")
    if bench.replay_rows:
        file = _first_rows(file, bench.file("first-rows.csv.gz"), bench.replay_rows)
    found: Sample = {}
    by_hand = bench.file("replay-by-hand.db")
    bench.upgrade(by_hand)
    began = time.perf_counter()
    bench.told(python("limits.raw_replay", file, by_hand))
    found["replay_raw_s"] = time.perf_counter() - began
    ledger = bench.file("replay.db")
    bench.upgrade(ledger)
    with bench.tillwire(ledger) as server:
        mapping = ("--mapping", "examples/mappings/completejourney.toml")
        began = time.perf_counter()
        bench.told(script("pos-client", "replay", file, *mapping, "--server", f"127.0.0.1:{server.port}", "--json"))
        found["replay_s"] = time.perf_counter() - began
    return found


def _first_rows(source: Path, target: Path, count: int) -> Path:
    with gzip.open(source, "rt") as rows, gzip.open(target, "wt", compresslevel=1) as first:
        first.writelines(islice(rows, count + 1))
    return target


WORKERS = (1, 2, 4)
HOT_SHOPS = (1, 4, 16)
HOT_SKUS = 50


def on_postgresql(bench: Bench) -> Sample:
    """On PostgreSQL: 64 live tills at 1, 2, 4 workers and at few hot locations; a drain; pgbench and raw `COPY`."""
    if not postgres.is_here():
        raise Skipped("no PostgreSQL here; on Debian: apt-get install postgresql")
    found: Sample = {}
    with postgres.shop() as shop:
        for workers in WORKERS:
            with bench.serving(shop.url(shop.database()), workers) as server:
                answers = bench.live(server)
            found |= {f"pg_live_{workers}": answers.rate(), f"pg_live_{workers}_p99_ms": answers.percentile(99)}
        for shops in HOT_SHOPS:
            with bench.serving(shop.url(shop.database())) as server:
                found[f"pg_hot_{shops}"] = bench.live(server, shops=shops, skus=HOT_SKUS).rate()
        with bench.serving(shop.url(shop.database())) as server:
            found["pg_drain"] = bench.drain(server).rate()
        told = bench.told(python("limits.raw_postgres", shop.url(shop.database()), 1_000, bench.seconds))
        found["pg_copy"] = told["sales"] / told["seconds"]
        sales = shop.pgbench(shop.database(), SALE_BY_PGBENCH, TILLS, bench.seconds)
        return found if sales is None else {**found, "R5": sales}


SCENARIOS: dict[str, Callable[[Bench], Sample]] = {
    each.__name__: each
    for each in (
        live,
        echo,
        load_limit,
        peers,
        drain,
        by_hand,
        lone,
        idle,
        old,
        stock,
        listing,
        rush,
        rush_paced,
        sell,
        replay,
        on_postgresql,
    )
}


def tills_curve(bench: Bench, tills: int) -> Sample:
    """`live` with another number of tills."""
    with bench.tillwire() as server:
        answers = bench.live(server, tills)
        found = {"live": answers.rate(), "p50_ms": answers.percentile(50), "p99_ms": answers.percentile(99)}
    with bench.echo() as server:
        return {**found, "L2": bench.echoed(server, "post", tills).rate()}


def batch_curve(bench: Bench, batch: int) -> Sample:
    """`drain` with another number of sales a frame, beside hand-written commits of that size."""
    with bench.tillwire() as server:
        found = {"drain": bench.drain(server, batch, DRAINING_TILLS).rate()}
    told = bench.told(python("limits.raw_sqlite", bench.opened_shop("by-hand.db"), batch, bench.seconds))
    return {**found, "L1": told["sales"] / told["seconds"]}
