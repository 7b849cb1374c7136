"""The observer on a real ledger: alerts by the control socket, deliveries to a webhook; and its commands."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inventory_server.clock import now_microseconds
from inventory_server.config import Settings
from inventory_server.domain.requests import StartObserving
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.observer.ledger import ObserverReplaced
from inventory_server.observer.process import ObserverProcess
from inventory_server.observer.targets import read_targets
from inventory_server.observer.watch import AlertWatch
from inventory_server.store import upgrade
from tests.support.commands import Shell
from tests.support.ledgers import new_ledger
from tests.support.observed import hook_file, shop_served
from tests.support.processes import argv, environment, run
from tests.support.receiver import Receiver, receiving
from tests.support.sites import Site
from tests.support.waiting import HANG_SECONDS, wait_until


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@contextmanager
def observed(url: str, targets: Path) -> Iterator[ObserverProcess]:
    """An observer on threads of this process."""
    ended: list[bool] = []
    settings = Settings()
    process = ObserverProcess(url, settings, now_microseconds, read_targets(targets), lambda: ended.append(True))
    process.start()
    try:
        yield process
    finally:
        assert process.stop()
        assert bool(ended) is (process.failure is not None)


def test_a_sale_that_crosses_a_reorder_point_is_delivered_and_levels_are_proven(
    site: Site, tmp_path: Path, receiver: Receiver
) -> None:
    with shop_served(site.new()) as shop, observed(shop.url, hook_file(tmp_path, receiver.url)):
        wait_until(lambda: shop.observer().position == 1)
        shop.sell("p00")
        wait_until(lambda: shop.observer().targets and shop.observer().targets[0].delivered == 1)
        [alert] = shop.alerts()
        [received] = receiver.received
        wait_until(lambda: shop.observer().proven)
        assert shop.observer().mismatches == 0
    assert received.event["data"]["alert"] == alert.number
    assert received.event["data"]["said"] == "p00 at L1: 9 available, reorder point 10"


def test_a_target_that_failed_is_delivered_to_once_a_person_resumes_it(
    tmp_path: Path, receiver: Receiver, shell: Shell
) -> None:
    url = new_ledger(tmp_path / "hq.db")
    receiver.answer = (410, {}, b"")
    with shop_served(url) as shop, observed(url, hook_file(tmp_path, receiver.url)):
        wait_until(lambda: shop.observer().position == 1)
        shop.sell("p00")
        wait_until(lambda: shop.observer().targets and shop.observer().targets[0].paused_at)
        listed = shell("inventory-server", "alerts", "targets", "--db", url)
        assert (listed.code, "paused" in listed.out, "HTTP 410 Gone" in listed.out) == (1, True, True)
        receiver.answer = (204, {}, b"")
        resumed = shell("inventory-server", "alerts", "resume", "pager", "--db", url)
        assert (resumed.code, resumed.out) == (0, "pager is tried again at once; deliveries waiting: 1.\n")
        wait_until(lambda: shop.observer().targets[0].delivered == 1)
    assert len({received.id for received in receiver.received}) == 1


def test_another_observer_of_the_ledger_ends_this_one(tmp_path: Path, receiver: Receiver) -> None:
    url = new_ledger(tmp_path / "hq.db")
    with shop_served(url) as shop, observed(url, hook_file(tmp_path, receiver.url)) as process:
        wait_until(lambda: shop.observer().position == 1)
        shop.store.submit(StartObserving("another machine's", actor=HEADQUARTERS)).wait()
        shop.sell("p00")
        wait_until(lambda: process.failure is not None)
        assert isinstance(process.failure, ObserverReplaced)
        assert shop.alerts() == []


def test_the_commands_list_test_and_remove(tmp_path: Path, receiver: Receiver, shell: Shell) -> None:
    url = new_ledger(tmp_path / "hq.db")
    targets = hook_file(tmp_path, receiver.url)
    command = ["inventory-server", "alerts"]
    never = shell(*command, "list", "--db", url)
    assert (never.code, never.out) == (0, "This ledger was never observed; run: inventory-server observe\n")
    assert shell(*command, "targets", "--db", url).out == "Nothing was queued for any target yet.\n"
    with shop_served(url) as shop, observed(url, targets):
        wait_until(lambda: shop.observer().position == 1)
        assert shell(*command, "list", "--db", url).out == "No alert is open.\n"
        shop.sell("p00")
        wait_until(lambda: len(receiver.received) == 1)
    listed = shell(*command, "list", "--db", url)
    assert listed.code == 1
    assert "p00 at L1: 9 available, reorder point 10" in listed.out
    [told] = json.loads(shell(*command, "list", "--all", "--json", "--db", url).out)
    assert (told["number"], told["kind"], told["closed_at"]) == (1, "reorder_point", None)
    tested = shell(*command, "test", "--targets", str(targets))
    assert (tested.code, tested.out) == (0, f"pager (webhook {receiver.url}): taken\n")
    receiver.answer = (500, {}, b"")
    failed = shell(*command, "test", "pager", "--json", "--targets", str(targets))
    assert failed.code == 1
    assert json.loads(failed.out) == [{"target": "pager", "is_taken": False, "error": "HTTP 500 Internal Server Error"}]
    assert "did you mean 'pager'?" in shell(*command, "test", "pagr", "--targets", str(targets)).err
    assert "Name the file of targets" in shell(*command, "test").err
    told = json.loads(shell(*command, "targets", "--json", "--db", url).out)
    assert told["targets"][0]["target"] == "pager"
    removed = shell(*command, "remove", "pager", "--db", url)
    assert (removed.code, removed.out.partition(";")[0]) == (0, "pager is forgotten")
    assert "Nothing was ever delivered to pager" in shell(*command, "resume", "pager", "--db", url).err


def test_targets_that_cannot_be_used_are_named_before_anything_starts(tmp_path: Path, shell: Shell) -> None:
    path = tmp_path / "targets.toml"
    path.write_text("[pager]\n")
    path.chmod(0o644)
    refused = shell("inventory-server", "observe", "--targets", str(path), "--db", f"sqlite:///{tmp_path}/hq.db")
    assert refused.code != 0
    assert "expected webhook and secret_file, or command" in refused.err


@pytest.mark.long
def test_a_process_waits_for_its_ledger_says_so_once_and_ends_cleanly(tmp_path: Path, receiver: Receiver) -> None:
    url, log = f"sqlite:///{tmp_path}/hq.db", tmp_path / "observer.log"
    targets = hook_file(tmp_path, receiver.url)
    command = argv("inventory-server", "observe", "--db", url, "--targets", targets)
    with log.open("w") as written:
        process = subprocess.Popen(command, env=environment(), stdout=written, stderr=written)
    try:
        wait_until(lambda: "event=ledger_away" in log.read_text())
        second = run("inventory-server", "observe", "--db", url)
        assert second.returncode != 0
        assert f"Process {process.pid} observes" in second.stderr
        upgrade(url)
        with shop_served(url) as shop:
            wait_until(lambda: "event=ledger_back" in log.read_text())
            shop.sell("p00")
            wait_until(lambda: len(receiver.received) == 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    assert said.count("event=ledger_away for=watch") <= 2  # before there was a ledger, and after its server ended
    assert said.endswith("inventory-server: the observer has stopped.\n")


def test_an_observer_that_falls_over_says_so_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(AlertWatch, "start", lambda _: 1 // 0)
    ended = threading.Event()
    process = ObserverProcess(new_ledger(tmp_path / "hq.db"), Settings(), now_microseconds, {}, ended.set)
    process.start()
    assert ended.wait(HANG_SECONDS)
    assert process.stop()
    assert isinstance(process.failure, ZeroDivisionError)
    assert "event=observer_failed for=watch" in caplog.text
