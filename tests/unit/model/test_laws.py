"""Laws that the model's figures keep, whatever is drawn: it is what production is compared with."""

from collections import defaultdict

from hypothesis import given, settings

from tests.support.model import Model
from tests.support.model.draw import THEMES, histories
from tests.support.model.history import LOCATIONS, Delivery, deliver, moments, played
from tests.support.model.postings import DAY, FOREVER
from tests.support.model.stock import on_hand

EXAMPLES = settings(max_examples=25)
WITHOUT_MERGES = [theme for theme in THEMES if "merge" not in theme]


@EXAMPLES
@given(histories(WITHOUT_MERGES))
def test_on_hand_is_the_last_count_and_what_moved_after_it(history: list[Delivery]) -> None:
    model = played(history)
    for as_of, known_at in moments(history, model):
        book = model.book(known_at)
        counts = book.standing("count", as_of=as_of)
        for (location, sku), quantity in on_hand(book, as_of).items():
            mine = [each for each in counts if each.location == location and sku in each.document.quantities]
            last = max(mine, key=lambda count: count.order, default=None)
            moved = [
                each.moves.get(sku, 0)
                for each in book.standing(as_of=as_of)
                if each.location == location and (last is None or each.order > last.order)
            ]
            assert quantity == sum(moved) + (last.document.quantities[sku] if last else 0)


@EXAMPLES
@given(histories())
def test_what_was_sent_was_received_or_closed_or_is_left(history: list[Delivery]) -> None:
    model = played(history)
    for as_of, known_at in moments(history, model):
        for row in model.transfers(as_of, known_at):
            assert row.sent == row.received + row.closed + row.left
            assert min(row.sent, row.received, row.closed, row.left, row.over) >= 0


@EXAMPLES
@given(histories())
def test_nothing_is_reserved_beyond_what_reservations_said(history: list[Delivery]) -> None:
    model = played(history)
    for as_of, known_at in moments(history, model):
        for row in model.reservations(FOREVER - 1, as_of, known_at):
            assert 0 < row.left <= sum(row.reserve.document.quantities.values())
            assert as_of is None or row.reserve.expires_at > as_of


@EXAMPLES
@given(histories())
def test_a_merge_moves_stock_and_loses_none_where_nobody_counts(history: list[Delivery]) -> None:
    model = played([each for each in history if each.body["type"] != "count"])
    moved: dict[str, int] = defaultdict(int)
    for posting in model.book().standing():
        moved[posting.location] += sum(posting.moves.values())
    held: dict[str, int] = defaultdict(int)
    for (location, _), quantity in on_hand(model.book()).items():
        held[location] += quantity
    assert {place: held[place] for place in moved} == moved


@EXAMPLES
@given(histories())
def test_a_void_leaves_all_as_if_there_had_been_nothing(history: list[Delivery]) -> None:
    """Every figure is the same where voided postings and their voids are left out."""
    model = played(history)
    book, now = model.book(), history[-1].received_at + DAY
    without = Model(LOCATIONS)
    gone = {target.id for void in book.standing("void") if (target := book.target(void)) is not None}
    gone |= {posting.id for posting in model.postings if posting.type == "void"}
    kept = [posting for posting in model.postings if posting.id not in gone]
    without.postings = kept
    assert figures(without, now) == figures(model, now)


def figures(model: Model, now: int) -> dict[tuple[str, str], tuple[int, ...]]:
    keys = {(place, sku) for place in LOCATIONS for sku in ("a", "b", "c")}
    return {key: model.stock(*key, now) for key in keys}


@EXAMPLES
@given(histories())
def test_effective_instants_are_never_in_the_future_and_keep_the_order_of_ticks(history: list[Delivery]) -> None:
    model = Model(LOCATIONS)
    dated = []
    for delivery in history:
        answer = deliver(model, delivery)
        if answer.status == "posted" and delivery.tick is not None:
            dated.append((delivery, model.postings[-1].effective_at))
    assert all(posting.effective_at <= posting.recorded_at for posting in model.postings)
    for one, at in dated:
        for other, later in dated:
            if one.sender == other.sender and one.tick and other.tick and one.tick.boot == other.tick.boot:
                assert one.tick.milliseconds >= other.tick.milliseconds or at <= later
