"""The model of HQ: it takes postings one after the other and answers each question by replaying all of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tests.support.model.book import Book
from tests.support.model.clock import Bounds, Tick, TickClocks, effective
from tests.support.model.documents import ReservationRow, TransferRow, reservation_rows, transfer_rows
from tests.support.model.flags import Arrival, findings
from tests.support.model.postings import FOREVER, Document, Invalid, Posting, Sender, document
from tests.support.model.rejections import refusal
from tests.support.model.stock import CountRow, Key, count_rows, on_hand


@dataclass(frozen=True)
class Answer:
    """What HQ says of one posting; `open_flags` are those that the rules allow but do not demand."""

    status: str
    position: int | None = None
    recorded_at: int | None = None
    flags: frozenset[str] = frozenset()
    open_flags: frozenset[str] = frozenset()
    reason: str | None = None


class Stock(NamedTuple):
    """The figures of one product at one location."""

    on_hand: int
    reserved: int
    available: int
    in_transit: int


class ArrivalFlags(NamedTuple):
    """The flags that the rules demand of a posting, and those that they allow besides."""

    certain: frozenset[str]
    open_flags: frozenset[str]


class _First(NamedTuple):
    """What HQ first received under an id, and what it answered."""

    body: str
    sender: Sender
    location: str
    answer: Answer


class Model:
    """HQ: the `locations` it knows, the skus its catalogue has `listed` (None: not told), the skus by `barcodes`."""

    def __init__(
        self,
        locations: Iterable[str],
        listed: Iterable[str] | None = None,
        barcodes: Mapping[str, str] | None = None,
    ) -> None:
        self.locations = set(locations)
        self.clocks = TickClocks()
        self.postings: list[Posting] = []
        self._listed = None if listed is None else set(listed)
        self._barcodes = dict(barcodes or {})
        self._first: dict[str, _First] = {}

    # ---- posting

    def post(
        self, id_: str, body: Mapping[str, Any], sender: Sender, recorded_at: int, tick: Tick | None = None
    ) -> Answer:
        """Post a body as on the wire; `tick` is that of the sale. HQ's clock must be later at each call."""
        text, location = json.dumps(body), body.get("location", sender.home)
        if id_ in self._first:
            return _again(self._first[id_], text, sender, location)
        answer = self._judge(id_, body, sender, recorded_at, tick)
        self._first[id_] = _First(text, sender, location, answer)
        return answer

    def _judge(self, id_: str, body: Mapping[str, Any], sender: Sender, recorded_at: int, tick: Tick | None) -> Answer:
        book = self.book()
        try:
            said = document(body, self._barcodes)
        except Invalid as invalid:
            return Answer("rejected", reason=str(invalid))
        location = said.location or sender.home
        if reason := refusal(id_, said, sender, location, book):
            return Answer("rejected", reason=reason)
        posting, flags = self._dated(id_, said, sender, location, recorded_at, tick)
        self._add(posting)
        found = self.flags(posting.position)
        certain = flags | found.certain
        return Answer("posted", posting.position, recorded_at, certain, found.open_flags - certain)

    def _add(self, posting: Posting) -> None:
        self.postings.append(posting)
        if not self.book().stands(posting):
            self.postings[-1] = replace(posting, voided_on_arrival=True)

    def flags(self, position: int) -> ArrivalFlags:
        """The flags, without those of the clock, of the posting at a position when it arrived."""
        before, after = self.book(position - 1), self.book(position)
        found = list(findings(Arrival(after.known[-1], before, after, self.locations, self._listed)))
        certain = frozenset(flag for flag, is_certain in found if is_certain)
        return ArrivalFlags(certain, frozenset(flag for flag, _ in found) - certain)

    def _dated(
        self, id_: str, said: Document, sender: Sender, location: str, recorded_at: int, tick: Tick | None
    ) -> tuple[Posting, frozenset[str]]:
        """The posting at its effective instant, and the flags of the clock."""
        assert not self.postings or recorded_at > self.postings[-1].recorded_at
        happened = self.clocks.happened(sender.terminal, tick) if tick else None
        bounds = self.clocks.bounds(sender.terminal, tick) if tick else Bounds()
        at, correction, flags = effective(said, recorded_at, happened, bounds, sender.backdated)
        if tick and happened:
            self.clocks.date(sender.terminal, tick, at)
        expires_at = FOREVER if said.expires_at == FOREVER else said.expires_at + correction
        return Posting(len(self.postings) + 1, id_, said, sender, location, recorded_at, at, expires_at), flags

    def list_barcode(self, gtin: str, sku: str) -> None:
        """The catalogue lists a barcode (14 digits) from now on."""
        self._barcodes[gtin] = sku

    def enter(
        self,
        id_: str,
        body: Mapping[str, Any],
        sender: Sender,
        recorded_at: int,
        effective_at: int | None = None,
        *,
        corrected: bool = False,
    ) -> None:
        """Take the next posting over from a ledger, unjudged; `effective_at` is None where its own date counts.

        `corrected` where it differs from that because the tick clock said so.
        """
        said = document(body, self._barcodes)
        location, at = said.location or sender.home, min(said.occurred_at, recorded_at)
        at = at if effective_at is None else effective_at
        shift = at - said.occurred_at if corrected and said.expires_at != FOREVER else 0
        expires_at, position = said.expires_at + shift, len(self.postings) + 1
        self._add(Posting(position, id_, said, sender, location, recorded_at, at, expires_at))

    # ---- questions: `as_of` is an instant, `known_at` a position, `now` HQ's clock

    def refuses(self, id_: str, body: Mapping[str, Any], sender: Sender, known_at: int) -> str | None:
        """What forbids a posting that arrives after a position, in a word; None where nothing does."""
        said = document(body, self._barcodes)
        return refusal(id_, said, sender, said.location or sender.home, self.book(known_at))

    def book(self, known_at: int | None = None) -> Book:
        """The ledger as of a position; None: all of it."""
        return Book(self.postings[:known_at])

    def stock(self, location: str, sku: str, now: int, as_of: int | None = None, known_at: int | None = None) -> Stock:
        """The figures of a product, at the instant `as_of` as known at the position `known_at`."""
        return self.levels(now, as_of, known_at).get((location, sku), Stock(0, 0, 0, 0))

    def levels(self, now: int, as_of: int | None = None, known_at: int | None = None) -> dict[Key, Stock]:
        """The figures of every product at every location that has any."""
        hand = on_hand(self.book(known_at), as_of)
        reserved: dict[Key, int] = defaultdict(int)
        in_transit: dict[Key, int] = defaultdict(int)
        for held in self.reservations(now, as_of, known_at):
            reserved[held.reserve.location, held.sku] += held.left
        for sent in self.transfers(as_of, known_at):
            if (destination := sent.out.document.other_location) in self.locations:
                in_transit[str(destination), sent.sku] += sent.left
        return {
            key: Stock(hand.get(key, 0), reserved[key], hand.get(key, 0) - reserved[key], in_transit[key])
            for key in sorted({*hand, *reserved, *in_transit})
        }

    def transfers(self, as_of: int | None = None, known_at: int | None = None) -> list[TransferRow]:
        """All transfers that stand, also those of which nothing is left."""
        return transfer_rows(self.book(known_at), as_of)

    def reservations(self, now: int, as_of: int | None = None, known_at: int | None = None) -> list[ReservationRow]:
        """The reservations that hold something; `known_at` alone asks as of the instant it was recorded."""
        if as_of is None and known_at:
            as_of = self.postings[known_at - 1].recorded_at
        return reservation_rows(self.book(known_at), now if as_of is None else as_of, as_of)

    def counts(self, known_at: int | None = None) -> list[CountRow]:
        """All counts that stand, with their variance when they arrived and now."""
        return count_rows(self.book(known_at))


def _again(first: _First, text: str, sender: Sender, location: str) -> Answer:
    """The answer to an id that HQ has answered before."""
    if text == first.body and first.answer.status == "rejected":
        return first.answer
    if text == first.body and (sender.terminal == first.sender.terminal or location == first.location):
        return replace(first.answer, status="duplicate")
    return Answer("conflict")
