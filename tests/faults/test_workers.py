"""Several processes that share an address: whichever of them dies, tills go on, and nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inventory_server.store.admin.overview import overview
from pos_client import ConnectionLost, PosClient
from pos_client.protocol.address import Address
from pos_client.transport.request_once import request_once
from tests.support.edge import LineClient
from tests.support.maintenance import read_ledger, verified
from tests.support.postgres import Cluster
from tests.support.processes import ROOT, Server, run
from tests.support.sites import PostgresSite
from tests.support.tills import FAST
from tests.support.waiting import HANG_SECONDS, wait_until
from tests.support.web import web

WORKERS, TILLS, SALES, KILLS = 3, 4, 150, 12
SILENT_SECONDS = 5.0
"""A hundred times what an answer takes: a server that is silent for so long waits for its database."""


@pytest.fixture
def server(postgres_site: PostgresSite, tmp_path: Path) -> Iterator[Server]:
    config = tmp_path / "hq.toml"
    config.write_text("accept_weak_durability = true\n")
    started = Server(tmp_path, "--config", str(config), "--workers", str(WORKERS), db=postgres_site.new())
    started.start()
    yield started
    started.kill()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.long
def test_workers_killed_at_any_time_under_load_lose_and_double_nothing(server: Server, tmp_path: Path) -> None:
    sold: dict[str, int] = {}
    selling = threading.Event()
    selling.set()

    def trade(name: str) -> None:
        statuses: list[str] = []
        with PosClient(
            server.address, terminal=name, location="L", outbox=tmp_path / f"{name}.db", retry_policy=FAST
        ) as till:
            while selling.is_set() or len(statuses) < SALES:
                posting = till.sell([("hot", 1), (f"own-{name}", 2)])
                statuses.append(posting.wait(HANG_SECONDS).status if len(statuses) % 5 == 0 else "")
            wait_until(lambda: till.pending == 0, f"{name} to deliver")
            wait_until(lambda: says_goodbye(till), f"{name} to balance")
        assert set(statuses) <= {"", "posted", "duplicate"}
        sold[name] = len(statuses)

    tills = [threading.Thread(target=trade, args=(f"T{number}",)) for number in range(TILLS)]
    for each in tills:
        each.start()
    chance = random.Random(5)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.6))
        for victim in chance.sample(server.workers, chance.choice((1, 1, 1, 2))):
            os.kill(victim, signal.SIGKILL)
    selling.clear()
    for each in tills:
        each.join()
    assert len(sold) == TILLS
    assert_all_there(server, sold)
    assert server.stop() == 0


def says_goodbye(till: PosClient) -> bool:
    """True once control totals balance; the worker that was asked may just have been killed."""
    try:
        return till.bye(timeout=HANG_SECONDS).status == "balanced"
    except ConnectionLost:
        return False


def assert_all_there(server: Server, sold: dict[str, int]) -> None:
    """The ledger holds each sale once, and every level follows from it."""
    total = sum(sold.values())
    assert read_ledger(server.db, overview).position == total
    proof = verified(server.db)
    assert proof.holds, proof.findings
    items = request_once(server.address, "stock", {"location": "L"}, terminal="office")["items"]
    found = {item["sku"]: item["on_hand"] for item in items}
    assert found == {"hot": -total, **{f"own-{name}": -2 * count for name, count in sold.items()}}


def connections_told(url: str) -> dict[int, float]:
    """How many connections each worker has, by the metrics of the web process."""
    with web(url, "reader") as page:
        families = text_string_to_metric_families(page.get("/metrics").text)
    return {
        int(each.labels["worker"]): each.value
        for family in families
        for each in family.samples
        if each.name == "tillwire_connections"
    }


def test_a_dead_worker_is_replaced_and_a_live_one_serves_meanwhile(server: Server) -> None:
    before = server.workers
    assert len(before) == WORKERS
    os.kill(before[0], signal.SIGKILL)
    assert request_once(server.address, "stock", {"sku": "a"}, terminal="office")["position"] == 0
    wait_until(lambda: len(server.workers) == WORKERS and before[0] not in server.workers, "a new worker")
    assert set(before[1:]) < set(server.workers)


def test_who_is_connected_is_asked_of_every_worker(server: Server) -> None:
    def listed() -> list[dict[str, Any]]:
        done = run("inventory-server", "clients", "--json", "--db", server.db)
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    with ExitStack() as opened:
        tills = [opened.enter_context(closing(LineClient(Address.parse(server.address)))) for _ in range(8)]
        for number, till in enumerate(tills):
            till.call("hello", terminal=f"T{number}", location="L")
        found = listed()
        assert {each["terminal"] for each in found} == {f"T{number}" for number in range(8)}
        assert {each["pid"] for each in found} <= set(server.workers)
        connections = connections_told(server.db)
        assert (set(connections), sum(connections.values())) == (set(server.workers), 8)
        os.kill(victim := found[0]["pid"], signal.SIGKILL)
        wait_until(lambda: victim not in server.workers, "the worker to end")
        assert sum(connections_told(server.db).values()) == 8 - connections[victim]
        assert {each["terminal"] for each in listed()} == {
            each["terminal"] for each in found if each["pid"] != victim
        }, "what a killed worker left behind is passed over"


def test_workers_end_with_their_parent_and_free_the_address(server: Server) -> None:
    workers = server.workers
    server.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in workers), "the workers to end")
    server.start()
    assert request_once(server.address, "stock", {"sku": "a"}, terminal="office")["position"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_server_that_is_told_to_stop_drains_its_workers(server: Server, number: signal.Signals) -> None:
    workers = server.workers
    assert server.stop(number) == 0
    assert not any(is_alive(pid) for pid in workers)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", server.port)):
        pass


@pytest.mark.long
def test_a_worker_that_does_not_drain_is_killed_after_the_deadline(postgres_site: PostgresSite, tmp_path: Path) -> None:
    config = tmp_path / "hq.toml"
    config.write_text("accept_weak_durability = true\ndrain_seconds = 0\n")
    server = Server(tmp_path, "--config", str(config), "--workers", "2", db=postgres_site.new())
    server.start()
    os.kill(server.workers[0], signal.SIGSTOP)
    assert server.stop() == 1


def answers(server: Server, seconds: float = HANG_SECONDS) -> bool:
    """True where a write is answered in time; where there are workers, by one of them."""
    try:
        request_once(server.address, "hello", {"terminal": "T1", "location": "L"}, timeout=seconds)
    except ConnectionLost:
        return False
    return True


@contextmanager
def silent_database(postgres: Cluster, server: Server) -> Iterator[None]:
    """One process of the server, at least, waits for its database, whose connection stays and is silent."""
    assert answers(server)
    writers = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tillwire' AND query ILIKE 'COMMIT%'"
    pids = [pid for (pid,) in postgres.execute(writers)]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: not answers(server, SILENT_SECONDS), "a process to wait for its database")
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        server.kill()


@pytest.mark.long
def test_a_server_that_is_told_to_stop_does_not_wait_for_a_silent_database_for_ever(
    postgres_site: PostgresSite, postgres: Cluster, tmp_path: Path
) -> None:
    config = config_of(tmp_path, "accept_weak_durability = true\ndrain_seconds = 1\n")
    server = Server(tmp_path, "--config", config, db=postgres_site.new())
    server.start()
    with silent_database(postgres, server):
        assert server.stop() == 1
    assert "the database did not answer in time" in server.log.read_text()


@pytest.mark.long
def test_workers_whose_parent_is_killed_do_not_wait_for_a_silent_database_for_ever(
    postgres_site: PostgresSite, postgres: Cluster, tmp_path: Path
) -> None:
    config = config_of(tmp_path, "accept_weak_durability = true\ndrain_seconds = 1\n")
    server = Server(tmp_path, "--config", config, "--workers", "2", db=postgres_site.new())
    server.start()
    workers = server.workers
    with silent_database(postgres, server):
        server.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in workers), "the workers to end")


@pytest.mark.long
def test_workers_that_cannot_serve_end_the_server(postgres_site: PostgresSite, tmp_path: Path) -> None:
    """As the limit of open files leaves them none for connections, which only they find out."""
    done = run(
        *("inventory-server", "serve", "--db", postgres_site.new(), "--workers", "2", "--listen", "127.0.0.1:0"),
        *("--config", config_of(tmp_path, "accept_weak_durability = true\nreserved_files = 1000000000\n")),
    )
    assert done.returncode == 1
    assert "leaves none for connections" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_that_fails_tells_why_and_ends_the_others() -> None:
    script = (
        "from inventory_server.supervisor import Supervisor\n"
        "print(Supervisor(2, lambda ready: 1 // 0, 1, lambda: print('let go')).run(lambda: print('announced')))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["let go", "1", ""]
    assert done.stderr.count("ZeroDivisionError") == 2


STOPPED_AT_START = """
import os, signal, time
from inventory_server.supervisor import Supervisor

def fork(fork=os.fork):
    pid = fork()
    if pid:
        print("forked", flush=True)
        os.kill(os.getpid(), signal.SIGTERM) if {at_once} else None
    return pid

os.fork = fork
print(Supervisor(2, lambda ready: time.sleep(60), 1, lambda: print("let go")).run(lambda: print("announced")))
"""


@pytest.mark.parametrize(("at_once", "forked"), [(True, 1), (False, 2)])
def test_a_server_that_is_told_to_stop_while_its_workers_start_has_not_failed(at_once: bool, forked: int) -> None:
    command = [sys.executable, "-c", STOPPED_AT_START.format(at_once=at_once)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(forked)]
        if not at_once:
            process.send_signal(signal.SIGTERM)
        said += process.stdout.readlines()
    assert said == ["forked\n"] * forked + ["let go\n", "0\n"]


def config_of(folder: Path, text: str) -> str:
    (folder / "hq.toml").write_text(text)
    return str(folder / "hq.toml")


def test_what_is_wrong_with_the_database_is_said_once(tmp_path: Path) -> None:
    url = "postgresql+psycopg://clerk:secret@127.0.0.1:1/hq"
    done = run("inventory-server", "serve", "--db", url, "--workers", "4")
    assert done.returncode == 2
    assert done.stderr.count("cannot be opened") == 1
    assert "secret" not in done.stderr


def test_an_sqlite_database_has_one_process(tmp_path: Path) -> None:
    done = run("inventory-server", "serve", "--db", f"sqlite:///{tmp_path / 'hq.db'}", "--workers", "2")
    assert (done.returncode, done.stderr) == (
        2,
        "inventory-server: An SQLite database has one writing process: leave out --workers 2, or use PostgreSQL.\n",
    )


FORWARDS = """
import os, signal, sys, time
from inventory_server.commands.signals import stop_signals
from inventory_server.supervisor import Supervisor

def work(ready):
    wait = stop_signals([signal.SIGHUP])
    ready()
    wait(lambda: os.write(1, b"renewed\\n"))
    return 0

print(Supervisor(2, work, 1, lambda: None, [signal.SIGHUP]).run(lambda: print("announced", flush=True)))
"""


def test_the_signal_to_renew_certificates_reaches_every_worker() -> None:
    with subprocess.Popen([sys.executable, "-c", FORWARDS], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "announced\n"
        process.send_signal(signal.SIGHUP)
        assert [process.stdout.readline(), process.stdout.readline()] == ["renewed\n"] * 2
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=HANG_SECONDS)[0] == "0\n"
