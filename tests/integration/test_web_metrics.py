"""`/metrics`, read by the official client: what servers have counted, how the ledger is; dashboard and alerts."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from starlette.testclient import TestClient

from inventory_server.domain.alerts import ObserverState, TargetState
from inventory_server.domain.metrics import Histogram, LedgerFigures, ServerMetrics, TillFigures, WriterCounters
from inventory_server.domain.product import Product
from inventory_server.domain.requests import ImportProducts, ListExceptions, ShowFigures
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from inventory_server.web import door
from inventory_server.web.metrics import LedgerCollector
from pos_client.protocol.address import Address
from pos_client.protocol.framing import MAX_FRAME_BYTES
from pos_client.protocol.messages import PostingResult, PostResult
from tests.support.commands import headquarters
from tests.support.edge import LineClient
from tests.support.ledgers import DAY, NOON, SECOND, Clock, Till, body, new_ledger, opened, uid
from tests.support.sites import Site, on_both
from tests.support.waiting import wait_until
from tests.support.web import web

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "monitoring"
TILL = TillFigures("T1", 'L"1', NOON, True, 3, 1, NOON - SECOND, 2, -1_500)
FIGURES = LedgerFigures(7, NOON, 4, NOON - DAY, 3, 1, 2, 5, {"orphan": 2}, {"hole": 3}, [TILL], 4_096, 1 << 30)
OBSERVER = ObserverState("host", 7, 1_000, 1, NOON, [TargetState("chat", 4, 9, None, 3, NOON, NOON, NOON, "gone")])
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value for family in plain(text) for each in family.samples
    }


def writer() -> WriterCounters:
    counters = WriterCounters()
    results = [PostingResult(uid(number), "posted") for number in range(3)] + [PostingResult(uid(9), "duplicate")]
    counters.committed(3_000_000, 4_000_000, [PostResult(results, "", 0, []), None])
    counters.committed(60_000_000_000, None, [None])
    return counters


def rendered() -> Samples:
    registry = CollectorRegistry()
    servers = [
        ServerMetrics(11, 2, 9, {"client_closed": 7}, {"busy": 1, "frame_too_long": 2}, writer()),
        ServerMetrics(12, writer=WriterCounters()),
    ]
    registry.register(LedgerCollector(servers, FIGURES, OBSERVER))
    return samples(generate_latest(registry).decode())


def test_the_counters_of_each_worker_are_apart() -> None:
    found = rendered()
    first = ("worker", "11")
    assert found["tillwire_servers", ()] == 2
    assert found["tillwire_postings_total", (("status", "posted"), first)] == 3
    assert found["tillwire_postings_total", (("status", "duplicate"), first)] == 1
    assert found["tillwire_refusals_total", (("reason", "frame_too_long"), first)] == 2
    assert found["tillwire_connections_ended_total", (("reason", "client_closed"), first)] == 7
    assert found["tillwire_connections", (("worker", "12"),)] == 0
    assert found["tillwire_commit_seconds_bucket", (("le", "0.002"), first)] == 0
    assert found["tillwire_commit_seconds_bucket", (("le", "0.005"), first)] == 1
    assert found["tillwire_commit_seconds_bucket", (("le", "+Inf"), first)] == 2
    assert found["tillwire_commit_seconds_sum", (first,)] == 60.003
    assert found["tillwire_answer_seconds_count", (first,)] == 1
    assert found["tillwire_commit_postings_bucket", (("le", "0.0"), first)] == 1
    assert found["tillwire_commit_postings_sum", (first,)] == 4


def test_the_figures_of_the_ledger_and_its_tills() -> None:
    found = rendered()
    till = (("location", 'L"1'), ("terminal", "T1"))
    assert found["tillwire_till_oldest_pending_timestamp_seconds", till] == NOON / 1e6 - 1
    assert found["tillwire_till_clock_offset_seconds", till] == -1.5
    assert (found["tillwire_till_missing_postings", till], found["tillwire_till_silent", till]) == (2, 1)
    assert found["tillwire_exceptions", (("kind", "orphan"),)] == 2
    assert found["tillwire_archive_position", ()] == 4
    assert found["tillwire_disk_free_bytes", ()] == 1 << 30


def test_proof_alerts_and_deliveries() -> None:
    found = rendered()
    assert (found["tillwire_proven_levels_total", ()], found["tillwire_proof_mismatches_total", ()]) == (1_000, 1)
    assert found["tillwire_proven_timestamp_seconds", ()] == NOON / 1e6
    assert found["tillwire_alerts_open", (("kind", "hole"),)] == 3
    assert found["tillwire_deliveries_waiting", (("target", "chat"),)] == 4
    assert found["tillwire_delivery_paused", (("target", "chat"),)] == 1


def test_a_histogram_counts_values_up_to_each_bound() -> None:
    histogram = Histogram((1, 5))
    for value in (0, 1, 2, 5, 6, 100):
        histogram.add(value)
    assert (histogram.counts, histogram.total) == ([2, 2, 2], 114)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, str]]:
    """A client of the web application beside a server that tills reach."""
    with headquarters(tmp_path_factory.mktemp("metrics"), control=True) as (address, url), web(url, "reader") as client:
        yield client, address


def test_what_tills_do_is_counted(client: tuple[TestClient, str]) -> None:
    page, address = client
    with LineClient(Address.parse(address)) as till:
        till.call("hello", terminal="T1", location="L1", lineage=str(uid("l")))
        posted = {"id": str(uid("p")), "seq": 1, "body": json.loads(body("sale", ("a", 1)))}
        till.call("post", postings=[posted])
        till.call("post", postings=[posted])
        assert "error" in till.call("hello")
        counted = f'tillwire_answer_seconds_count{{worker="{os.getpid()}"}} 3.0'  # a commit is, once it is answered
        wait_until(lambda: counted in page.get("/metrics").text)
        answer = page.get("/metrics")
        found = samples(answer.text)
        [worker] = {dict(labels)["worker"] for name, labels in found if name == "tillwire_connections"}
        assert found["tillwire_connections", (("worker", worker),)] == 1
    assert answer.headers["content-type"].startswith("text/plain")
    assert found["tillwire_postings_total", (("status", "posted"), ("worker", worker))] == 1
    assert found["tillwire_postings_total", (("status", "duplicate"), ("worker", worker))] == 1
    assert found["tillwire_commit_seconds_count", (("worker", worker),)] == 3
    assert found["tillwire_answer_seconds_count", (("worker", worker),)] == 3
    assert found["tillwire_commits_failed_total", (("worker", worker),)] == 0
    assert found["tillwire_ledger_position", ()] == 1
    assert found["tillwire_negative_levels", ()] == 1
    assert found["tillwire_exceptions", (("kind", "unlisted_product"),)] == 1
    assert (found["tillwire_alerts_open", (("kind", "hole"),)], found["tillwire_proven_levels_total", ()]) == (0, 0)
    ended = ("tillwire_connections_ended_total", (("reason", "client_closed"), ("worker", worker)))
    wait_until(lambda: samples(page.get("/metrics").text).get(ended) == 1)


def test_who_is_refused_is_counted_by_reason(client: tuple[TestClient, str]) -> None:
    page, address = client
    with LineClient(Address.parse(address)) as till:
        assert "error" in till.call("stock", sku="a")  # before hello
    with LineClient(Address.parse(address)) as till:
        till.send(b"x" * (MAX_FRAME_BYTES + 1))

        def reasons() -> set[str]:
            found = samples(page.get("/metrics").text)
            return {dict(labels)["reason"] for name, labels in found if name == "tillwire_refusals_total"}

        wait_until(lambda: {"unauthenticated", "frame_too_long"} <= reasons())


def test_open_metrics_are_offered_too(client: tuple[TestClient, str]) -> None:
    answer = client[0].get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert len(list(openmetrics(answer.text))) > 20  # type: ignore[no-untyped-call]


def test_a_stranger_scrapes_nothing(tmp_path: Path) -> None:
    url = new_ledger(tmp_path / "hq.db")
    with web(url, None) as stranger:
        answer = stranger.get("/metrics")
    assert (answer.status_code, answer.json()["name"]) == (401, "unauthenticated")


def test_without_a_server_the_ledger_is_still_told(tmp_path: Path) -> None:
    with web(new_ledger(tmp_path / "hq.db"), "reader") as reader:
        found = samples(reader.get("/metrics").text)
    assert (found["tillwire_servers", ()], found["tillwire_levels", ()]) == (0, 0)
    assert not any(name.startswith("tillwire_connections") for name, _ in found)


def test_a_server_that_hangs_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SERVER_REPLY_SECONDS", 0.05)
    with closing(socket.socket(socket.AF_UNIX)) as hung, web(new_ledger(tmp_path / "hq.db"), "reader") as reader:
        hung.bind(str(tmp_path / "hq.db.control"))
        hung.listen()
        found = samples(reader.get("/metrics").text)
    assert found["tillwire_servers", ()] == 0


@on_both
def test_the_figures_are_those_of_the_ledger(site: Site) -> None:
    clock, url = Clock(), site.new()
    with opened(url, clock) as store:
        store.submit(ImportProducts([Product("a")], actor=HEADQUARTERS)).wait()
        till, silent = Till(store), Till(store, "T2", "L2")
        _post_with_hole(till)
        silent.post(body("sale", ("unlisted", 1)))
        clock.now += DAY
        till.post(body("sale", ("a", 1)))
        found = store.ask(ShowFigures(actor=HEADQUARTERS))
        waiting = store.ask(ListExceptions(actor=HEADQUARTERS))
    assert isinstance(found, LedgerFigures)
    assert [(each.terminal, each.missing, each.is_silent) for each in found.tills] == [
        ("T1", 2, False),
        ("T2", 0, True),
    ]
    assert (found.position, found.negative, found.levels) == (3, 2, 2)
    assert sum(found.exceptions.values()) == waiting.total == 3
    assert found.ledger_bytes > 4_096
    assert (found.free_bytes is None) == (site.kind == "postgresql")


def _post_with_hole(till: Till) -> None:
    """Postings 1 and 2 are lost on the way, 3 arrives."""
    for _ in range(2):
        till.item(body("sale", ("a", 1)))
    till.post(body("sale", ("a", 1)))


def test_a_database_that_refuses_a_commit_is_counted(store: LedgerStore) -> None:
    def fails(_: object) -> None:
        raise RuntimeError("as the test wants it")

    till = Till(store)
    before = store.counters.failed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store._writer._judge, "carry_out", lambda *_: fails(None))
        with pytest.raises(RuntimeError, match="as the test wants it"):
            till.post(body("sale", ("a", 1)))
    assert store.counters.failed == before + 1
    till.post(body("sale", ("a", 1)))
    assert store.counters.postings == {"posted": 1}


# ---------------------------------------------------------------------------------- what is built on them


def exported() -> set[str]:
    return {name for name, _ in rendered()}


def used(expressions: list[str]) -> set[str]:
    return {name for each in expressions for name in re.findall(r"tillwire_\w+", each)}


def test_the_dashboard_shows_what_is_exported_and_all_of_it() -> None:
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert used(expressions) - exported() == set()
    shown = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in used(expressions)}
    told = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in exported()}
    assert told - shown == {"tillwire_archive_recorded_timestamp_seconds", "tillwire_ledger_recorded_timestamp_seconds"}
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(places) == len(set(places))


def test_the_alerts_rest_on_what_is_exported_and_say_what_to_do() -> None:
    text = (EXAMPLES / "alerts.yml").read_text()
    expressions = re.findall(r"^ +expr: (.+)$", text, re.M)
    assert used(expressions) - exported() == set()
    assert len(expressions) == len(re.findall(r"^ +action: ", text, re.M)) == len(re.findall(r"- alert: ", text)) == 16


@pytest.mark.long
def test_prometheus_loads_the_rules_and_the_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here: apt-get install prometheus")
    shutil.copytree(EXAMPLES, tmp_path / "monitoring")
    config = tmp_path / "monitoring" / "prometheus.yml"
    config.write_text(config.read_text().replace("/etc/prometheus/tillwire.token", "token"))
    (config.parent / "token").write_text("secret")
    done = subprocess.run(
        [promtool, "check", "config", str(config)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "16 rules found" in done.stdout
