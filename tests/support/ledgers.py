"""What the tests of the store share: a clock to turn, postings in one line, a terminal that posts them."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid5

from msgspec import UNSET

from inventory_server.config import Settings
from inventory_server.domain.answers import Proof
from inventory_server.domain.completeness import OutboxState
from inventory_server.domain.door import Outcome, perform
from inventory_server.domain.requests import (
    Enrol,
    FindPosting,
    Hello,
    History,
    Item,
    Post,
    Stock,
    TerminalRequest,
    Welcome,
)
from inventory_server.domain.roles import HEADQUARTERS, Speaker
from inventory_server.store import LedgerStore, open_store, upgrade
from inventory_server.store.admin.terminals import add_terminal
from pos_client.protocol import wire
from pos_client.protocol.errors import BodyError
from pos_client.protocol.fields import PostingType, Role
from pos_client.protocol.messages import (
    Body,
    HistoryEntry,
    HistoryParams,
    HistoryResult,
    Line,
    PostingParams,
    PostingResult,
    PostResult,
    StockItem,
    StockParams,
    StockResult,
    StoredPosting,
)
from pos_client.protocol.units import QUANTITY_MAX, Quantity, instant, micros
from tests.support.maintenance import administer, verified

NOON = 1_700_000_000_000_000
"""An instant in microseconds since 1970 UTC, from which the tests count."""
SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR


class Clock:
    """HQ's clock, turned by the test."""

    def __init__(self, now: int = NOON + DAY) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def uid(name: object) -> UUID:
    """The same UUID for the same name."""
    return uuid5(UUID(int=0), str(name))


def body(kind: PostingType, *lines: tuple[str, Quantity], at: int = NOON, **fields: Any) -> bytes:
    """The bytes of a body; `lines` are (sku, quantity), where `gtin:…` names a barcode."""
    listed = [
        Line(quantity, gtin=code.removeprefix("gtin:")) if code.startswith("gtin:") else Line(quantity, sku=code)
        for code, quantity in lines
    ]
    return wire.encode_body(Body(kind, instant(at), listed or UNSET, **fields))


def item(raw: bytes, id_: UUID | None = None, seq: int | None = None, quantity_max: int = QUANTITY_MAX) -> Item:
    """A posting as the session hands it to the store; `quantity_max` is that of the terminal's role."""
    id_ = id_ or uid(raw)
    digest = hashlib.sha256(raw).digest()
    try:
        decoded = wire.decode_body(raw)
        return Item(id_, seq, raw, digest, decoded, wire.check_body(decoded, quantity_max=quantity_max), None)
    except BodyError as error:
        return Item(id_, seq, raw, digest, None, [], error)


def hello(
    store: LedgerStore, terminal: str = "T1", location: str = "L1", lineage: UUID | None = None, **said: Any
) -> Welcome:
    """Say hello as a trusted peer, enrolled on the spot."""
    outbox: OutboxState | None = said.get("outbox")
    now: int | None = said.get("now")
    welcome = perform(store, Hello(terminal, None, True, location, lineage, outbox, now))
    assert isinstance(welcome, Welcome)
    return welcome


def enrol(store: LedgerStore, terminal: str, role: Role, location: str, token: str = "secret") -> None:
    """Have HQ know a terminal."""
    administer(store, lambda connection: add_terminal(connection, Enrol(terminal, role, location, token), NOON))


def post(store: LedgerStore, speaker: Speaker, *items: Item, parent: str | None = None) -> PostResult:
    """Post one frame."""
    outcome = perform(store, Post(speaker, list(items), parent))
    assert isinstance(outcome, PostResult)
    return outcome


class Till:
    """A terminal that has said hello and numbers what it posts."""

    def __init__(
        self, store: LedgerStore, terminal: str = "T1", location: str = "L1", lineage: UUID | None = None
    ) -> None:
        self.store = store
        self.terminal = terminal
        self.lineage = lineage or uid(f"lineage of {terminal}")
        self.welcome = hello(store, terminal, location, self.lineage)
        self.speaker = self.welcome.speaker
        self._seqs = itertools.count(self.welcome.acked_seq + 1)

    def item(self, raw: bytes, id_: UUID | None = None) -> Item:
        """The next posting of this till's outbox."""
        seq = next(self._seqs)
        return item(raw, id_ or uid((self.terminal, self.lineage, seq)), seq)

    def post(self, *bodies: bytes) -> PostResult:
        """Post bodies as one frame, numbered in order."""
        return post(self.store, self.speaker, *(self.item(raw) for raw in bodies))

    def posts(self, raw: bytes, id_: UUID | None = None) -> PostingResult:
        """Post one body by itself."""
        return post(self.store, self.speaker, self.item(raw, id_)).results[0]


def stock(store: LedgerStore, below: str | Quantity | None = None, **params: Any) -> StockResult:
    """Ask for stock; `as_of` is an instant or a date."""
    as_of: date | None = params.pop("as_of", None)
    said = UNSET if as_of is None else as_of.isoformat()
    moment = micros(as_of) if isinstance(as_of, datetime) else as_of
    outcome = perform(store, Stock(StockParams(as_of=said, **params), below, moment, actor=HEADQUARTERS))
    assert isinstance(outcome, StockResult)
    return outcome


def level(store: LedgerStore, sku: str = "a", location: str = "L1", **params: Any) -> StockItem:
    """The one level of a sku at a location."""
    (found,) = stock(store, sku=sku, location=location, **params).items
    return found


def history(store: LedgerStore, sku: str = "a", **params: Any) -> HistoryResult:
    """Ask for the movements of a sku."""
    outcome = perform(store, History(HistoryParams(sku, **params), actor=HEADQUARTERS))
    assert isinstance(outcome, HistoryResult)
    return outcome


def pages_of_history(store: LedgerStore, sku: str, limit: int, **params: Any) -> list[HistoryEntry]:
    """All movements of a sku, asked for page by page."""
    page = history(store, sku, limit=limit, **params)
    found = list(page.entries)
    while page.cursor is not None:
        page = history(store, sku, limit=limit, cursor=page.cursor, **params)
        found += page.entries
    return found


def find(store: LedgerStore, id_: UUID) -> StoredPosting:
    """Ask for one posting."""
    outcome = perform(store, FindPosting(PostingParams(id_), actor=HEADQUARTERS))
    assert isinstance(outcome, StoredPosting)
    return outcome


def url_of(place: Path | str) -> str:
    """The URL of an SQLite file; a URL stays what it is."""
    return place if isinstance(place, str) else f"sqlite:///{place}"


def proof_of(place: Path | str) -> Proof:
    """Verify a ledger."""
    proof = verified(url_of(place))
    assert isinstance(proof, Proof)
    return proof


def new_ledger(path: Path) -> str:
    """Make a new ledger in a file, and return its URL."""
    path.write_bytes(_empty_ledger())
    return url_of(path)


@cache
def _empty_ledger() -> bytes:
    """What `upgrade` makes, made once."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        upgrade(url_of(path))
        return path.read_bytes()


@contextmanager
def opened(
    place: Path | str,
    clock: Callable[[], int] | None = None,
    settings: Settings | None = None,
    on_fatal: Callable[[Exception], None] = lambda _: None,
) -> Iterator[LedgerStore]:
    """A store on a file, which is made where it is missing, or on the ledger of a URL."""
    if isinstance(place, Path) and not place.exists():
        new_ledger(place)
    settings = replace(settings or Settings(), accept_weak_durability=True)  # tests do not wait for the disk
    store = open_store(url_of(place), settings, clock or Clock(), on_fatal)
    try:
        yield store
    finally:
        store.close()


def together(store: LedgerStore, *works: TerminalRequest) -> list[Outcome | Exception]:
    """Have `works` wait for the writer at the same time, so that one commit carries them; errors are outcomes."""
    gate = threading.Event()
    writer = store._writer
    writer.submit(lambda _: gate.wait())
    tickets = [writer.submit(work) for work in works]
    gate.set()
    return [outcome_of(ticket.wait) for ticket in tickets]


def outcome_of(wait: Callable[[], Any]) -> Outcome | Exception:
    """What `wait` returns or raises."""
    try:
        outcome: Outcome = wait()
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return error
    return outcome
