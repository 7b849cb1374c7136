"""The programs as people run them: real processes on a real ledger, started, asked, stopped and killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from pos_client.protocol.address import Address
from tests.support.commands import Done, Shell
from tests.support.edge import LineClient
from tests.support.ledgers import new_ledger
from tests.support.postgres import free_port
from tests.support.processes import Server, argv, environment, run
from tests.support.sites import PostgresSite
from tests.support.waiting import HANG_SECONDS


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Token files are written to the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path, dev=False)
    started.start()
    yield started
    started.stop()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def any_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """On SQLite, or two processes on PostgreSQL behind a URL with a password."""
    if request.param == "sqlite":
        started = Server(tmp_path, dev=False)
    else:
        site: PostgresSite = request.getfixturevalue("postgres_site")
        url = site.new().replace("postgres@", "postgres:secret@", 1)
        (tmp_path / "hq.toml").write_text("accept_weak_durability = true\n")
        started = Server(tmp_path, "--config", str(tmp_path / "hq.toml"), "--workers", "2", dev=False, db=url)
    started.start()
    yield started
    started.stop()
    assert "secret" not in started.log.read_text()


@pytest.fixture
def dev_server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def administer(server: Server, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    done = run("inventory-server", *arguments, "--db", server.db)
    assert "secret" not in done.stdout + done.stderr
    return done


def enrol(server: Server, name: str, location: str, role: str) -> dict[str, str]:
    """The environment of a terminal that was just enrolled."""
    token = server.log.with_name(f"{name}.token")
    where = ("--location", location, "--role", role, "--token-file", token)
    done = administer(server, "terminal", "add", name, *where)
    assert done.returncode == 0, done.stderr
    named = {"TILLWIRE_TERMINAL": name, "TILLWIRE_LOCATION": location, "TILLWIRE_TOKEN_FILE": str(token)}
    return {"TILLWIRE_SERVER": server.address, **named}


def stock(asker: dict[str, str], *arguments: str) -> dict[str, Any]:
    done = run("stock-query", *arguments, "--format", "json", env=asker)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_server_says_its_version_at_hello_and_ends_well_when_it_is_told_to(
    number: signal.Signals, dev_server: Server
) -> None:
    assert "DEVELOPMENT MODE" in dev_server.log.read_text()
    with LineClient(Address.parse(dev_server.address)) as client:
        assert client.call("hello", terminal="T1")["result"]["server"] == f"tillwire {version('tillwire')}"
    assert dev_server.stop(number) == 0


def test_a_shop_is_run_from_the_command_line_while_the_server_serves(
    any_server: Server, tmp_path: Path, shell: Shell
) -> None:
    """In processes of their own where that matters, the rest in this one."""
    server = any_server

    def told(*arguments: str) -> Done:
        done = shell("inventory-server", *arguments, "--db", server.db)
        assert "secret" not in done.out + done.err
        return done

    till, office = enrol(server, "A-1", "A", "till"), enrol(server, "office", "HQ", "reader")
    catalogue = tmp_path / "products.csv"
    catalogue.write_text("sku,name,unit,barcode,reorder_point\napple,Apples,kg,20000004,5\n")
    assert told("catalog", "import", str(catalogue)).code == 0
    sold = run("pos-client", "sell", "apple=0.42", "--wait", str(HANG_SECONDS), env=till, cwd=tmp_path)
    assert (sold.returncode, sold.stdout.split()[1:]) == (0, ["posted", "negative_stock"])
    assert [item["on_hand"] for item in stock(office, "--below", "reorder_point")["items"]] == [-0.42]
    assert told("terminal", "revoke", "A-1").code == 0
    refused = run("pos-client", "sell", "apple", "--wait", "1", env=till, cwd=tmp_path)
    assert refused.returncode == 2
    assert told("terminal", "rotate", "A-1", "--token-file", str(tmp_path / "new.token"), "--json").code == 0
    refused = run("stock-query", env=till)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert told("verify").code == 0
    assert told("status").code == 0
    assert told("status", "--json").code == 0
    assert told("reconcile").code == 0
    assert told("postings", "waiting").out == "No postings are waiting.\n"
    assert told("terminal", "list").out.count("office") == 1
    again = told("terminal", "add", "office", "--location", "HQ")
    assert (again.code, again.err.count("exists already")) == (2, 1)
    assert told("db", "upgrade").code == (2 if server.db.startswith("sqlite") else 0)


def test_a_second_server_and_a_taken_port_are_refused_in_one_sentence(server: Server, tmp_path: Path) -> None:
    other = new_ledger(tmp_path / "other.db")
    for db, reason in ((server.db, "A server runs on this ledger"), (other, "it is in use")):
        done = run("inventory-server", "serve", "--db", db, "--listen", server.address)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1, done.stderr
        assert reason in done.stderr


SELL_FOR_EVER = """
import itertools, sys
from pos_client.till.client import PosClient
till = PosClient(sys.argv[1], terminal="A-1", location="A", outbox=sys.argv[2])
for number in itertools.count():
    till.sell([("apple", 1)])
    print(number, flush=True)
"""


@pytest.mark.long
def test_a_till_killed_in_the_middle_of_a_day_delivers_every_sale_once(dev_server: Server, tmp_path: Path) -> None:
    outbox = tmp_path / "till.db"
    told = 0
    for _ in range(3):
        selling = subprocess.Popen(
            [sys.executable, "-c", SELL_FOR_EVER, dev_server.address, str(outbox)],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert selling.stdout is not None
        for _ in range(200):
            selling.stdout.readline()
        selling.kill()
        told += 200 + len(selling.communicate()[0].splitlines())
    asker = {"TILLWIRE_SERVER": dev_server.address, "TILLWIRE_TERMINAL": "A-1"}
    done = run("pos-client", "deliver", "--outbox", outbox, env=asker)
    assert done.returncode == 0, done.stdout + done.stderr
    [item] = stock(asker | {"TILLWIRE_TERMINAL": "office"}, "apple")["items"]
    # What a killed till had stored without having said so counts too: at most one sale a kill.
    assert told <= -item["on_hand"] <= told + 3
    assert administer(dev_server, "verify").returncode == 0


@pytest.mark.long
def test_the_demonstration_ends_with_a_proof_that_holds(tmp_path: Path) -> None:
    done = run("inventory-server", "demo", "--baskets", "60", "--folder", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 1,050." in done.stdout
    assert done.stdout.endswith("The proof holds.\n")
    assert run("inventory-server", "verify", "--db", f"sqlite:///{tmp_path / 'demo.db'}").returncode == 0


@pytest.mark.long
def test_the_demonstration_may_end_with_headquarters_pages(tmp_path: Path) -> None:
    web = f"127.0.0.1:{free_port()}"
    command = argv("inventory-server", "demo", "--baskets", "50", "--folder", str(tmp_path), "--web", web)
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as shown:
        assert shown.stdout is not None
        lines: list[str] = []
        while not lines or "web pages and API on" not in lines[-1]:
            lines.append(shown.stdout.readline())
            assert lines[-1], "it has ended"
        assert any(f"http://{web}/welcome#" in line for line in lines)
        with urlopen(f"http://{web}/welcome") as page:
            assert "Set your password" in page.read().decode()
        shown.terminate()
        assert shown.wait(HANG_SECONDS) == 0
