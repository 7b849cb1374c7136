"""`/metrics` for Prometheus: what each server process of this machine has counted, and the ledger's figures.

Whoever may ask `metrics` and `figures` may scrape: a user of the role reader with an API token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from inventory_server.domain.alerts import ObserverState
from inventory_server.domain.metrics import Histogram, LedgerFigures, ServerMetrics, TillFigures
from inventory_server.domain.requests import ShowFigures, ShowMetrics, ShowObserver
from inventory_server.web.people import actor_of
from pos_client.protocol.errors import ErrorCode, RequestError

PREFIX = "tillwire_"
_WORKER = "worker"
_NANOSECONDS = 1_000_000_000
_MICROSECONDS = 1_000_000
_MILLISECONDS = 1_000


def routes() -> list[BaseRoute]:
    """The route of the metrics."""
    return [Route("/metrics", _scrape, methods=["GET"])]


def _scrape(request: Request) -> Response:
    user = actor_of(request)
    door = request.app.state.door
    figures: LedgerFigures = door.ask(ShowFigures(), user)
    try:
        servers: Sequence[ServerMetrics] = door.ask_servers(ShowMetrics(), user)
    except RequestError as error:
        if error.code is not ErrorCode.busy:
            raise
        servers = []  # no server runs: that is what `tillwire_servers` is for
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerCollector(servers, figures, door.ask(ShowObserver(), user)))
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), media_type=kind)


class LedgerCollector:
    """The metrics of a ledger and of the `servers` that were asked, as Prometheus' client renders them."""

    def __init__(self, servers: Sequence[ServerMetrics], figures: LedgerFigures, observer: ObserverState) -> None:
        self._servers = servers
        self._figures = figures
        self._observer = observer

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        yield _gauge("servers", "Server processes of this ledger that answer on this machine.", len(self._servers))
        yield from self._of_servers()
        yield from self._of_ledger()
        yield from self._of_tills()
        yield from self._of_observer()

    def _of_servers(self) -> Iterator[Metric]:
        each = [(str(server.pid), server) for server in self._servers]
        writers = [(worker, server.writer) for worker, server in each]
        yield _counter("postings", "Postings that were decided on, by status.", "status", (
            (worker, writer.postings) for worker, writer in writers
        ))  # fmt: skip
        yield _histogram("commit_seconds", "How long a commit took, until it was durable.", _NANOSECONDS, (
            (worker, writer.commit_nanoseconds) for worker, writer in writers
        ))  # fmt: skip
        yield _histogram(
            "answer_seconds", "How long the frame of a commit that waited longest waited for its answer.", _NANOSECONDS,
            ((worker, writer.answer_nanoseconds) for worker, writer in writers),
        )  # fmt: skip
        yield _histogram("commit_postings", "Postings in a commit.", 1, (
            (worker, writer.commit_postings) for worker, writer in writers
        ))  # fmt: skip
        failed = CounterMetricFamily(
            f"{PREFIX}commits_failed", "Commits of which nothing is durable, or nobody knows.", labels=[_WORKER]
        )
        opened = CounterMetricFamily(f"{PREFIX}connections_opened", "Connections that were accepted.", labels=[_WORKER])
        standing = GaugeMetricFamily(f"{PREFIX}connections", "Connections that stand.", labels=[_WORKER])
        for worker, server in each:
            failed.add_metric([worker], server.writer.failed)
            opened.add_metric([worker], server.opened)
            standing.add_metric([worker], server.connections)
        yield from (failed, opened, standing)
        yield _counter("connections_ended", "Connections that ended, by reason.", "reason", (
            (worker, server.ended) for worker, server in each
        ))  # fmt: skip
        yield _counter("refusals", "Clients and requests that were refused, by reason.", "reason", (
            (worker, server.refused) for worker, server in each
        ))  # fmt: skip

    def _of_ledger(self) -> Iterator[Metric]:
        found = self._figures
        yield _gauge("ledger_position", "Position of the last posting.", found.position)
        recorded = found.recorded_at / _MICROSECONDS
        yield _gauge("ledger_recorded_timestamp_seconds", "When the last posting was recorded.", recorded)
        yield _gauge("archive_position", "Position up to which the ledger is archived.", found.archived_position)
        until = found.archived_until / _MICROSECONDS
        yield _gauge("archive_recorded_timestamp_seconds", "When the last archived posting was recorded.", until)
        yield _gauge("levels", "Stock figures, each of a product at a location.", found.levels)
        yield _gauge("negative_levels", "Stock figures below zero.", found.negative)
        yield _gauge("rejected_postings", "Rejected postings that wait for a decision.", found.rejected)
        yield _gauge("quarantined_postings", "Postings in quarantine, as their id is taken.", found.quarantined)
        waiting = GaugeMetricFamily(f"{PREFIX}exceptions", "Causes that wait for a person, by kind.", labels=["kind"])
        for kind, causes in found.exceptions.items():
            waiting.add_metric([kind], causes)
        yield waiting
        yield _gauge("ledger_bytes", "Bytes that the ledger's database takes.", found.ledger_bytes)
        if found.free_bytes is not None:
            yield _gauge("disk_free_bytes", "Bytes that the ledger's disk has left.", found.free_bytes)

    def _of_tills(self) -> Iterator[Metric]:
        tills = self._figures.tills
        yield _of_each("till_pending_postings", "Postings in a till's outbox, as it told.", (
            (till, till.pending) for till in tills
        ))  # fmt: skip
        yield _of_each("till_parked_postings", "Postings that a till has given up on.", (
            (till, till.parked) for till in tills
        ))  # fmt: skip
        yield _of_each("till_oldest_pending_timestamp_seconds", "When a till's oldest pending posting was made.", (
            (till, till.oldest_pending_at / _MICROSECONDS) for till in tills if till.oldest_pending_at is not None
        ))  # fmt: skip
        yield _of_each("till_missing_postings", "Postings of a till that later ones have overtaken.", (
            (till, till.missing) for till in tills
        ))  # fmt: skip
        yield _of_each("till_clock_offset_seconds", "A till's wall clock minus its tick clock.", (
            (till, till.clock_offset_ms / _MILLISECONDS) for till in tills if till.clock_offset_ms is not None
        ))  # fmt: skip
        yield _of_each("till_contact_timestamp_seconds", "When a till was last in contact.", (
            (till, till.contact_at / _MICROSECONDS) for till in tills if till.contact_at is not None
        ))  # fmt: skip
        yield _of_each("till_silent", "1 if a till has not ended its day and was not in contact for too long.", (
            (till, till.is_silent) for till in tills
        ))  # fmt: skip

    def _of_observer(self) -> Iterator[Metric]:
        found = self._observer
        proven = "Stock figures that the background proof compared with the ledger."
        yield CounterMetricFamily(f"{PREFIX}proven_levels", proven, value=found.proven)
        wrong = "Those of them that the ledger does not bear out."
        yield CounterMetricFamily(f"{PREFIX}proof_mismatches", wrong, value=found.mismatches)
        if found.proven_at is not None:
            last = found.proven_at / _MICROSECONDS
            yield _gauge("proven_timestamp_seconds", "When the background proof last compared any.", last)
        opened = GaugeMetricFamily(f"{PREFIX}alerts_open", "Alerts that are open, by kind.", labels=["kind"])
        for kind, count in self._figures.alerts.items():
            opened.add_metric([kind], count)
        waiting = GaugeMetricFamily(
            f"{PREFIX}deliveries_waiting", "Alerts that wait to be delivered to a target.", labels=["target"]
        )
        paused = GaugeMetricFamily(
            f"{PREFIX}delivery_paused", "1 if deliveries to a target wait for a person.", labels=["target"]
        )
        for target in found.targets:
            waiting.add_metric([target.target], target.waiting)
            paused.add_metric([target.target], target.paused_at is not None)
        yield from (opened, waiting, paused)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, told, value=value)


def _counter(name: str, told: str, label: str, counts: Iterable[tuple[str, Mapping[str, int]]]) -> Metric:
    """A counter of each worker, by a label."""
    family = CounterMetricFamily(PREFIX + name, told, labels=[_WORKER, label])
    for worker, of_worker in counts:
        for reason, count in sorted(of_worker.items()):
            family.add_metric([worker, reason], count)
    return family


def _histogram(name: str, told: str, unit: int, values: Iterable[tuple[str, Histogram]]) -> Metric:
    """A histogram of each worker, of integers so many of which are one."""
    family = HistogramMetricFamily(PREFIX + name, told, labels=[_WORKER])
    for worker, histogram in values:
        buckets, sum_ = [], 0
        for bound, count in zip([*histogram.bounds, None], histogram.counts, strict=True):
            sum_ += count
            buckets.append(("+Inf" if bound is None else str(bound / unit), sum_))
        family.add_metric([worker], buckets, histogram.total / unit)
    return family


def _of_each(name: str, told: str, values: Iterable[tuple[TillFigures, float]]) -> Metric:
    """A gauge of each till."""
    family = GaugeMetricFamily(PREFIX + name, told, labels=["terminal", "location"])
    for till, value in values:
        family.add_metric([till.terminal, till.location], value)
    return family
