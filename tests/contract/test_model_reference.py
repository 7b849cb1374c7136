"""The model of the rules agrees with the reference program of the design, over drawn histories.

The reference is no part of the checkout; where it is absent these tests are skipped. Where it is known to differ from
the text of the rules, the docstrings below say how, and that is left out.
"""

from __future__ import annotations

import importlib.util
import os
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings

from tests.support.model import Model, draw
from tests.support.model.clock import Bounds, effective
from tests.support.model.flags import CLOCK_FLAGS, SOURCE_TYPES
from tests.support.model.history import LOCATIONS, Delivery, deliver, moments, text
from tests.support.model.postings import UNITS, Posting

ROOT = Path(__file__).resolve().parents[2]
DESIGN = Path(os.environ.get("TILLWIRE_SHARED_DESIGN", ROOT.parent / "shared" / "design"))
"""The folder with the reference program."""
pytestmark = pytest.mark.skipif(
    not (DESIGN / "model.py").exists(), reason=f"no reference program in {DESIGN} (TILLWIRE_SHARED_DESIGN)"
)

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
EXAMPLES = settings(max_examples=40)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", DESIGN / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def at(instant: int | None) -> datetime | None:
    if instant is None:
        return None
    return EPOCH + timedelta(microseconds=instant)


def micros(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


def scaled(quantity: Decimal) -> int:
    return int(quantity * UNITS)


class Pair:
    """The model and the reference, given the same postings.

    The reference is told the model's effective instants: it does not know that postings of one boot keep the order of
    their ticks, that ticks may stop, or that an expiry is corrected, too. Clocks have a test of their own.
    """

    def __init__(self, reference: ModuleType) -> None:
        self.model = Model(LOCATIONS)
        self.reference = reference.Model()
        self.reference.locations = set(LOCATIONS)
        self._bodies: dict[str, dict[str, Any]] = {}

    def post(self, delivery: Delivery) -> None:
        ours = deliver(self.model, delivery)
        posting = self.model.book().find(delivery.id)
        theirs = self._posted_there(delivery, posting)
        assert ours.status == theirs["status"], delivery
        if ours.status == "posted":
            assert posting is not None
            certain, allowed = set(theirs["flags"]), set(theirs["flags"]) | set(theirs["maybe"])
            found = ours.flags - (self._left_out(posting) - certain)
            assert certain - CLOCK_FLAGS <= found, delivery
            assert found - CLOCK_FLAGS <= allowed, delivery

    def _posted_there(self, delivery: Delivery, posting: Posting | None) -> Any:
        body, sender = dict(delivery.body), delivery.sender
        if posting is not None and delivery.body == self._bodies.setdefault(delivery.id, delivery.body):
            body["occurred_at"] = text(posting.effective_at)
            if "expires_at" in body:
                body["expires_at"] = text(posting.expires_at)
        rights = {"operator": sender.operator, "enrolled": sender.earlier, "backdated": sender.backdated}
        return self.reference.post(delivery.id, body, sender.terminal, sender.home, at(delivery.received_at), **rights)

    def _left_out(self, posting: Posting) -> set[str]:
        """The reference has no `orphan` for a name that is a posting of another kind."""
        named = self.model.book().find(posting.document.source)
        return {"orphan"} if named is not None and named.type != SOURCE_TYPES[posting.type] else set()

    def same_stock(self, as_of: int | None, known_at: int | None, now: int) -> None:
        for location in (*LOCATIONS, "X"):
            for sku in (*draw.SKUS, draw.GTIN_SKU):
                ours = self.model.stock(location, sku, now, as_of, known_at)
                theirs = self.reference.stock(location, sku, at(as_of), known_at, at(now))
                expected = {name: scaled(quantity) for name, quantity in theirs.items()}
                assert ours._asdict() == expected, (location, sku, as_of, known_at)

    def same_rows(self) -> None:
        """Counts, where no two lines are of one product: the reference has a row per line."""
        ours = {(row.posting.position, row.counted, row.variance_then, row.variance_now) for row in self.model.counts()}
        theirs = {(count.position, *map(scaled, figures)) for count, _, *figures in self.reference.counts()}
        if len(ours) == len(self.reference.counts()):
            assert ours == theirs
        rows = {(row.out.id, row.sku): (row.received, row.closed, row.over) for row in self.model.transfers()}
        names = ("received", "closed", "over")
        found = {key: tuple(scaled(row[name]) for name in names) for key, row in self.reference.transfers().items()}
        assert rows == found


def comparable(history: list[Delivery]) -> list[Delivery]:
    """Without what the reference judges otherwise.

    It takes a transfer from a location to itself, which the store refuses as invalid. It takes a void of itself, gives
    an early void of what turns out to be elsewhere an effect, and refuses a second void even where the first one may
    have none.
    """
    places = {each.id: _place(each) for each in reversed(history)}  # of the first that sent it
    first: dict[str, Delivery] = {}

    def is_comparable(delivery: Delivery) -> bool:
        if delivery.body["type"] != "void":
            return bool(delivery.body.get("other_location") != _place(delivery))
        here, voided = _place(delivery), delivery.body["voids"]
        same_rights = first.setdefault(voided, delivery).sender == delivery.sender
        in_place = delivery.sender.operator or here == places.get(voided, here)
        return voided != delivery.id and same_rights and in_place

    return [each for each in history if is_comparable(each)]


def _place(delivery: Delivery) -> str:
    return str(delivery.body.get("location", delivery.sender.home))


@EXAMPLES
@given(history=draw.histories())
def test_figures_and_flags_agree(reference: ModuleType, history: list[Delivery]) -> None:
    pair = Pair(reference)
    for delivery in comparable(history):
        pair.post(delivery)
    now = history[-1].received_at + 1
    for as_of, known_at in moments(history, pair.model):
        pair.same_stock(as_of, known_at, now)
    pair.same_rows()


@EXAMPLES
@given(history=draw.histories(standstills=False))
def test_effective_instants_agree(reference: ModuleType, history: list[Delivery]) -> None:
    """But for what is bounded by postings of the same boot, and for old counts of an import."""
    model, theirs = Model(LOCATIONS), reference.Model()
    for delivery in history:
        if delivery.now is not None:
            boot, milliseconds = delivery.now
            theirs.contact(delivery.sender.terminal, boot, milliseconds, at(delivery.received_at))
        if deliver(model, delivery).status == "posted":
            same_instant(reference, theirs, model, delivery)


def same_instant(reference: ModuleType, theirs: Any, model: Model, delivery: Delivery) -> None:
    posting, sender, happened = model.postings[-1], delivery.sender, None
    if delivery.tick is not None:
        happened = model.clocks.happened(sender.terminal, delivery.tick)
        expected, nearest = theirs.happened(sender.terminal, *delivery.tick)
        assert (happened.at if happened else None) == (micros(expected) if expected else None)
        assert happened is None or happened.nearest_contact == nearest // timedelta(microseconds=1)
    unbounded = effective(posting.document, posting.recorded_at, happened, Bounds(), sender.backdated)
    contact = timedelta(microseconds=happened.nearest_contact if happened else 0)
    instants = [at(each) for each in (posting.document.occurred_at, posting.recorded_at)]
    expected, flags = reference.effective(*instants, at(happened.at) if happened else None, contact, sender.backdated)
    assert unbounded.at == micros(expected)
    if not (sender.backdated and posting.type == "count"):
        assert unbounded.flags == flags
