"""The rules of stock on a real ledger, a line a case: each step in a commit of its own, and all steps in one.

See `tests/support/shops.py` for what the words of a step mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pos_client.protocol.units import instant
from tests.support.ledgers import HOUR, NOON, opened, proof_of
from tests.support.shops import Shops
from tests.support.sites import Site


@pytest.fixture(scope="module")
def shops(_all_sites: Site) -> Iterator[Shops]:
    url = _all_sites.new()
    with opened(url) as store:
        yield Shops(store)
    proof = proof_of(url)
    _all_sites.clear()
    assert proof.holds, proof.findings


each_way = pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])

# the steps, and what is on hand at L1 in the end
ON_HAND = [
    # the order of events: (effective_at, position)
    ("count 10 @1 | sale 3 @1", 7),  # the same second, recorded after the count
    ("sale 3 @1 | count 10 @1", 10),
    ("count 10 @1 | sale 3 @0", 10),  # late: it is in the count
    ("count 10 @1 | sale 3 @0 | sale 1 @2", 9),
    ("count 10 @2 | count 4 @1 | sale 1 @3", 9),  # a late count is no news
    ("count 10 @1 | count 4 @1", 4),
    ("count 10 @1 | T3 count 4 @1 | sale 1 @1", 3),
    ("count 6 4 @1", 10),  # two shelves
    ("count 0 @1 | sale 2 @0 | return 2 @2", 2),
    ("sale 3 @2 | count 10 @1", 7),
    ("sale 3 @2 | sale 4 @1 | count 10 @1", 7),
    ("count 10 @500 | sale 3 @23", 10),  # a clock ahead: the count is taken for one of now
    ("receipt 10 @500 | count 4 @23", 4 + 10),  # HQ knew of the count before: what arrives later happened later
    # voids stand where what they void stands
    ("receipt 100 @0 =x | count 10 @1 | void of:x @2", 10),
    ("receipt 10 @0 =x | count 10 @1 | void of:x @2 | receipt 1 @2", 11),
    ("count 10 @1 | sale 3 @2 =x | void of:x @3", 10),
    ("count 10 @1 | sale 3 @1 =x | void of:x @1", 10),
    ("sale 3 @1 =x | count 10 @1 | void of:x @1", 10),
    ("void of:x @3 | count 10 @1 | sale 3 @2 =x", 10),
    ("void of:x @3 | sale 3 @0 =x | count 10 @1", 10),
    ("receipt 5 @0 | count 10 @1 =x | sale 1 @2 | void of:x @3", 4),
    ("count 20 @0 | count 10 @1 =x | sale 1 @2 | void of:x @3", 19),
    ("count 20 @0 =y | count 10 @1 =x | sale 1 @2 | void of:x @3 | void of:y @3", -1),
    ("count 20 @0 =y | count 10 @1 =x | sale 1 @2 | void of:y @3 | void of:x @3", -1),
    ("count 20 @0 =y | count 10 @1 =x | sale 1 @2 | void of:y @3", 9),
    ("void of:x @3 | count 20 @0 | sale 1 @2 | count 10 @1 =x", 19),
    ("count 10 @1 =x | void of:x @2 | count 7 @1 | sale 1 @1", 6),
    ("count 10 @1 =x | sale 2 @3 | count 7 @2 | void of:x @2", 5),
    ("sale 2 2 1 =x | void of:x @1", 0),
    ("sale 2 =x | void of:x @1 | void of:x @2", 0),  # the second is rejected
    # a return says that goods came back, at its own instant
    ("sale 3 @0 =x | count 10 @1 | return 1 of:x @2", 11),
    ("sale 3 @0 =x | return 1 of:x @1 | void of:x @2", 1),
    ("sale 3 @0 =x | return 1 of:x @1 =y | void of:y @2", -3),
    # signs
    ("receipt 10 | sale 3 -1", 8),
    ("receipt 10 | adjustment -4", 6),
    ("receipt 10 | receipt -4", 10),
    ("receipt 10 | return -4", 10),
    ("receipt 10 | transfer_out -4 to:L2", 10),
    ("receipt 10 | count -4 @1", 10),
]


@pytest.mark.parametrize(("story", "on_hand"), ON_HAND)
@each_way
def test_what_is_on_hand(shops: Shops, story: str, on_hand: int, at_once: bool) -> None:
    shops.play(story, at_once)
    assert shops.figures("L1")[0] == on_hand


# the steps, how many hours after noon is asked about, and what was on hand at L1 then
EARLIER = [
    ("count 10 @1 | sale 3 @1 | sale 1 @2", 1, 7),
    ("count 10 @1 | sale 3 @1 | sale 1 @2", 0, 0),
    ("sale 3 @1 =x | void of:x @3", 2, 0),
    ("receipt 100 @0 =x | count 10 @1 | void of:x @2", 0, 0),
    ("count 10 @1 =x | sale 3 @2 | void of:x @3", 2, -3),
    ("sale 3 @0 =x | return 1 of:x @2", 1, -3),
]


@pytest.mark.parametrize(("story", "hour", "on_hand"), EARLIER)
@each_way
def test_what_was_on_hand(shops: Shops, story: str, hour: int, on_hand: int, at_once: bool) -> None:
    shops.play(story, at_once)
    assert shops.figures("L1", as_of=instant(NOON + hour * HOUR))[0] == on_hand


# the steps, what is in transit to L2 in the end, what is on hand there and at L1
TRANSFERS = [
    ("transfer_out 5 to:L2", 5, 0, -5),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 5 of:x @1", 0, 5, -5),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 2 of:x @1", 3, 2, -5),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 2 of:x @1 | transfer_in 3 of:x @2", 0, 5, -5),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 5 of:x @1 | transfer_in 5 of:x @2", 0, 10, -5),  # twice
    ("transfer_out 5 to:L2 =x | transfer_out 5 to:L2 | T2 transfer_in 8 of:x @1", 5, 8, -10),
    ("transfer_out 5 to:L2 =x | T1 transfer_in 5 of:x @1", 0, 0, 0),  # elsewhere: it came back
    ("T2 transfer_in 5 of:x @1 | T1 transfer_out 5 to:L2 =x", 0, 5, -5),  # before HQ heard of it
    ("T2 transfer_in 7 of:x @1 | T1 transfer_out 5 to:L2 =x | transfer_out 4 to:L2", 4, 7, -9),
    ("transfer_out 5 to:L2 | T2 transfer_in 3 from:L1 @1", 2, 3, -5),  # unnamed
    ("transfer_out 5 to:L2 =x | transfer_out 4 to:L2 =y | T2 transfer_in 6 from:L1 @1 | T1 void of:y @2", 0, 6, -5),
    ("T2 transfer_in 3 from:L1 @1 | T1 transfer_out 5 to:L2 @0", 2, 3, -5),
    ("T2 transfer_in 3 from:L1 @-30 | T1 transfer_out 5 to:L2 @0", 5, 3, -5),  # more than a day before
    ("transfer_out 5 to:L2 | T2 transfer_in 9 from:L1 @1 | T1 transfer_out 5 to:L2 @2", 1, 9, -10),
    ("transfer_out 5 to:L2 =x | transfer_out 5 to:L2 | T2 transfer_in 4 from:L1 @1 | transfer_in 5 of:x @1", 1, 9, -10),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 4 from:L1 @1 | transfer_in 5 of:x | T1 transfer_out 6 to:L2", 2, 9, -11),
    ("T2 transfer_in 4 from:L1 @1 | T1 transfer_out 4 to:L2 =x | T2 transfer_in 4 of:x @2", 0, 8, -4),
    ("T2 transfer_in 4 from:L1 @1 | transfer_in 4 of:x @2 | T1 transfer_out 6 to:L2 =x", 0, 8, -6),
    ("transfer_out 5 3b to:L2 =x | T2 transfer_in 3b of:x @1", 5, 0, -5),
    ("transfer_out 2 3 to:L2 =x | T2 transfer_in 1 1 of:x @1", 3, 2, -5),
    # closing
    ("transfer_out 5 to:L2 =x | transfer_close of:x", 0, 0, -5),
    ("transfer_out 5 to:L2 =x | transfer_close 2 of:x", 3, 0, -5),
    ("transfer_out 5 to:L2 =x | transfer_close 9 of:x", 0, 0, -5),
    ("transfer_out 5 to:L2 =x | transfer_close 2b of:x", 5, 0, -5),
    ("transfer_close of:x | transfer_out 5 to:L2 =x", 0, 0, -5),
    ("T2 transfer_close 2 of:x | T1 transfer_out 5 to:L2 =x", 3, 0, -5),
    ("transfer_out 5 to:L2 =x | T2 transfer_close of:x | transfer_in 5 of:x @1", 0, 5, -5),
    ("transfer_out 5 to:L2 =x | transfer_out 5 to:L2 | transfer_close of:x | T2 transfer_in 4 from:L1 @1", 1, 4, -10),
    ("transfer_out 5 to:L2 =x | transfer_out 5 to:L2 | T2 transfer_in 4 from:L1 @1 | transfer_close of:x", 1, 4, -10),
    # voids
    ("transfer_out 5 to:L2 =x | void of:x", 0, 0, 0),
    ("void of:x @1 | transfer_out 5 to:L2 =x", 0, 0, 0),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 2 of:x @1 | T1 void of:x @2", 0, 2, 0),
    ("transfer_out 5 to:L2 =x | void of:x | T2 transfer_in 2 of:x @1", 0, 2, 0),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 2 of:x @1 =y | void of:y @2", 5, 0, -5),
    ("transfer_out 5 to:L2 =x | T2 void of:y @2 | transfer_in 2 of:x @1 =y", 5, 0, -5),
    ("T2 transfer_in 2 of:x @1 =y | T1 transfer_out 5 to:L2 =x | T2 void of:y @2", 5, 0, -5),
    ("T2 transfer_in 2 of:x @1 =y | void of:y @2 | T1 transfer_out 5 to:L2 =x", 5, 0, -5),
    ("transfer_out 5 to:L2 | T2 transfer_in 2 from:L1 @1 =y | void of:y @2", 5, 0, -5),
    ("transfer_out 5 to:L2 | T2 transfer_in 5 from:L1 =y | transfer_in 3 from:L1 | void of:y @2", 2, 3, -5),
    (
        "transfer_out 5 to:L2 =x | transfer_out 5 to:L2 | T2 transfer_in 4 from:L1 | transfer_in 5 of:x =y | void of:y",
        6,
        4,
        -10,
    ),
    ("transfer_out 5 to:L2 =x | transfer_close of:x =y | void of:y", 5, 0, -5),
    ("transfer_out 5 to:L2 =x | transfer_close 2 of:x =y | void of:y", 5, 0, -5),
    ("transfer_out 5 to:L2 =x | transfer_out 5 to:L2 =y | T2 transfer_in 4 from:L1 | T1 void of:x @2", 1, 4, -5),
    (
        "transfer_out 5 to:L2 =x | T2 transfer_in 4 from:L1 | transfer_in 5 of:x =y | T1 void of:x | T2 void of:y",
        0,
        4,
        0,
    ),
    # names that are no transfers
    ("reserve 5 =x | T2 transfer_in 2 of:x @1", 0, 2, 0),
    ("transfer_out 5 to:L2 =x | sale 2 of:x @1", 5, 0, -7),
    ("transfer_out 5 to:L2 =x | return 2 of:x @1", 5, 0, -3),
    ("transfer_out 5 to:L2 =x | release 2 of:x @1", 5, 0, -5),
]


@pytest.mark.parametrize(("story", "on_the_road", "there", "here"), TRANSFERS)
@each_way
def test_what_is_in_transit(shops: Shops, story: str, on_the_road: int, there: int, here: int, at_once: bool) -> None:
    shops.play(story, at_once)
    assert (shops.figures("L2")[1], shops.figures("L2")[0], shops.figures("L1")[0]) == (on_the_road, there, here)


# the steps, and what is reserved at L1 in the end, at noon of the next day
RESERVED = [
    ("reserve 5", 5),
    ("reserve 5 | reserve 3", 8),
    ("reserve 5 =x | release 2 of:x", 3),
    ("reserve 5 =x | sale 2 of:x", 3),
    ("reserve 5 =x | T2 sale 2 of:x", 3),  # wherever it is sold
    ("reserve 5 =x | release 9 of:x | reserve 4", 4),
    ("release 2 of:x | reserve 5 =x", 3),
    ("sale 2 of:x | reserve 5 =x", 3),
    # unnamed: the oldest first, never a later one
    ("reserve 5 | release 2 @1", 3),
    ("reserve 2 | reserve 5 | release 3 @1", 4),
    ("release 3 @1 | reserve 5 @2", 5),
    ("reserve 5 @2 | release 3 @1", 5),
    ("release 3 @1 | reserve 5 @0", 2),
    ("release 3 @1 | reserve 5 @2 | reserve 5 @0", 7),
    ("reserve 2 @0 | release 3 @1 | reserve 5 @2", 5),
    ("reserve 2 =x | reserve 5 | release 3 @1 | sale 2 of:x @1", 4),
    # expiry
    ("reserve 5 until:12", 0),
    ("reserve 5 until:24", 0),
    ("reserve 5 until:25", 5),
    ("reserve 5 until:1 | reserve 4 | release 2 @1", 2),
    ("reserve 5 until:30 | reserve 4 | release 2 @1", 7),
    # voids
    ("reserve 5 =x | void of:x", 0),
    ("void of:x | reserve 5 =x", 0),
    ("reserve 5 =x | sale 2 of:x =y | void of:y", 5),
    ("reserve 5 =x | void of:y | sale 2 of:x =y", 5),
    ("sale 2 of:x =y | void of:y | reserve 5 =x", 5),
    ("reserve 5 =x | release 2 of:x =y | void of:y", 5),
    ("reserve 5 | release 2 @1 =y | void of:y @2", 5),
    ("reserve 2 =x | reserve 5 | release 3 @1 | void of:x", 2),
    ("reserve 2 =x | void of:x | release 3 @1 | reserve 5 @0", 2),
    ("release 3 @1 =y | void of:y | reserve 5 @0", 5),
    # names that are no reservations
    ("transfer_out 5 to:L2 =x | sale 2 of:x @1 | reserve 3", 3),
    ("reserve 5 =x | return 2 of:x", 5),
    ("reserve 5 =x | transfer_in 2 of:x", 5),
    ("reserve 5 =x | transfer_close of:x", 5),
]


@pytest.mark.parametrize(("story", "reserved"), RESERVED)
@each_way
def test_what_is_reserved(shops: Shops, story: str, reserved: int, at_once: bool) -> None:
    shops.play(story, at_once)
    assert shops.figures("L1")[2] == reserved


# the steps, and the flags of the last one
FLAGS = [
    ("receipt 9 | sale 3", ""),
    ("sale 3", "negative_stock"),
    ("sale 3 | receipt 1", ""),  # what comes in is no cause for alarm
    ("sale 3 | sale -1", ""),
    ("receipt 3 =x | sale 2 | void of:x", "negative_stock"),
    ("count 3 @1 =x | sale 2 @2 | void of:x @3", "negative_stock"),
    ("count 3 @1 | sale 2 @2 | count 1 @0", "before_count"),
    ("sale 9 @2 | count 3 @1", ""),
    ("receipt 1 | sale 9 @2 | count 3 @1", ""),
    # the order of events
    ("count 10 @1 | sale 3 @1", ""),
    ("count 10 @1 | sale 3 @0", "before_count"),
    ("count 10 @2 | count 4 @1", "before_count"),
    ("receipt 9 @0 =x | count 10 @1 | void of:x @2", "before_count"),
    ("receipt 9 @0 =x | void of:y | count 10 @1 =y | void of:x @2", ""),
    ("receipt 9 @400", "clock_suspect"),
    ("receipt 9 @-1100", "clock_suspect"),
    ("count 9 @-1100", "clock_suspect"),
    # two people may have counted two shelves
    ("count 4 @0 | T3 count 6 @1", "recounted"),
    ("count 4 @1 | T3 count 6 @0", "before_count recounted"),
    ("count 4 @0 | count 6 @1", ""),
    ("count 4 @0 | T3 count 6 @12", "recounted"),
    ("count 4 @0 | T3 count 6 @12.1", ""),
    ("count 4 @0 =x | void of:x | T3 count 6 @1", ""),
    ("count 4 @0 | T2 count 6 @1", ""),
    ("count 4 @0 | T3 count 6b @1", ""),
    # returns
    ("receipt 9 | sale 3 =x | return 3 of:x", ""),
    ("receipt 9 | sale 3 =x | return 2 of:x | return 2 of:x", "over_returned"),
    ("receipt 9 | sale 1 2 =x | return 3 of:x", ""),
    ("receipt 9 | sale 3 =x | return 1b of:x", "over_returned"),
    ("receipt 9 | sale 3 =x | return 2 of:x =y | void of:y | return 3 of:x", ""),
    ("receipt 9 | sale 3 =x | void of:x | return 1 of:x", "orphan over_returned"),
    ("receipt 9 | sale 3 =x | return 1 of:x | void of:x", "over_returned"),
    ("receipt 9 | sale 3 =x | return 1 of:x =y | void of:y | void of:x", ""),
    ("return 1 of:x", "orphan"),
    ("receipt 9 =x | return 1 of:x", "orphan"),
    # transfers
    ("receipt 9 | transfer_out 5 to:L2 =x | T2 transfer_in 5 of:x", ""),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 6 of:x", "over_received"),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 5 of:x | transfer_in 1 of:x", "over_received"),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 5 from:L1 | transfer_in 5 of:x", ""),
    ("transfer_out 5 to:L2 =x | transfer_in 5 of:x", "other_destination"),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 6 from:L1", "over_received"),
    ("T2 transfer_in 6 from:L1", "over_received"),
    ("T2 transfer_in 6 of:x", "orphan"),
    ("transfer_close of:x", "orphan"),
    ("receipt 9 | T2 transfer_in 5 of:x @1 | T1 transfer_out 5 to:L2 =x", ""),
    ("receipt 9 | T2 transfer_in 6 of:x @1 | T1 transfer_out 5 to:L2 =x", "over_received"),
    ("receipt 9 | transfer_in 5 of:x @1 | transfer_out 5 to:L2 =x", "other_destination"),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 2 of:x | T1 void of:x", "over_received"),
    ("transfer_out 5 to:L2 =x | T2 transfer_in 2 from:L1 | T1 void of:x", "over_received"),
    ("transfer_out 5 to:L2 =x | void of:x", ""),
    ("transfer_out 5 to:L2 =x | void of:x | T2 transfer_in 2 of:x", "orphan"),
    ("reserve 5 =x | T2 transfer_in 2 of:x", "orphan"),
    ("reserve 5 =x | transfer_close of:x", "orphan"),
    ("receipt 9 | transfer_out 5 to:nowhere", "unknown_location"),
    ("T2 transfer_in 5 from:nowhere", "over_received"),
    ("O receipt 5 location:nowhere", "unknown_location"),
    # reservations
    ("receipt 9 | reserve 5 =x | sale 2 of:x", ""),
    ("receipt 9 | sale 2 of:x", "orphan"),
    ("release 2 of:x", "orphan"),
    ("reserve 5 =x | void of:x | release 2 of:x", "orphan"),
    ("transfer_out 5 to:L2 =x | release 2 of:x", "orphan"),
    ("receipt 9 | transfer_out 5 to:L2 =x | sale 2 of:x", "orphan"),
    ("release 2", "nothing_reserved"),
    ("reserve 5 @1 | release 2 @0", "nothing_reserved"),
    ("reserve 5 until:1 | release 2 @1", "nothing_reserved"),
    ("reserve 1 | release 2", ""),
    ("reserve 1 | release 2 2b", ""),  # a line found something
    # the same document twice
    ("receipt 9 ref:d | receipt 9 ref:d", "repeated_document"),
    ("receipt 4 5 ref:d | receipt 9 ref:d", "repeated_document"),
    ("receipt 9 | receipt 9", ""),
    ("receipt 9 ref:d | receipt 8 ref:d", ""),
    ("receipt 9 ref:d | receipt 9 ref:e", ""),
    ("receipt 9 ref:d | T2 receipt 9 ref:d", ""),
    ("receipt 9 ref:d | adjustment 9 ref:d", ""),
    ("receipt 9 ref:d =x | void of:x | receipt 9 ref:d", ""),
    ("void of:x | receipt 9 ref:d =x | receipt 9 ref:d", ""),
    ("receipt 9 ref:d =x | receipt 9 ref:d | void of:x | receipt 9 ref:d", "repeated_document"),
    ("receipt 9 | transfer_out 1 to:L2 ref:d | transfer_out 1 to:L2 ref:d", "repeated_document"),
    ("receipt 9 | transfer_out 1 to:L2 ref:d | transfer_out 1 to:L3 ref:d", "unknown_location"),
    ("receipt 9 ref:d | count 9 @1 ref:d", ""),
    # voids that come first
    ("void of:x", "orphan"),
    ("O void of:x", "orphan"),
]
KNOWN_ALL_ALONG = "unlisted_product"
"""No case has a catalogue."""


@pytest.mark.parametrize(("story", "flags"), FLAGS)
@each_way
def test_which_flags_are_answered(shops: Shops, story: str, flags: str, at_once: bool) -> None:
    last = shops.play(story, at_once)[-1]
    assert last.status == "posted"
    assert set(last.flags) - {KNOWN_ALL_ALONG} == set(flags.split())


# the steps, and the code with which the last one is rejected
REJECTED = [
    ("receipt -4", "invalid_body"),
    ("return -4", "invalid_body"),
    ("count -4", "invalid_body"),
    ("transfer_out -4 to:L2", "invalid_body"),
    ("transfer_in -4 from:L2", "invalid_body"),
    ("reserve -4", "invalid_body"),
    ("release -4", "invalid_body"),
    ("sale 1 =x | void of:x =y | void of:y", "not_voidable"),
    ("sale 1 =x | void of:x | void of:x", "already_voided"),
    ("void of:x | void of:x", "already_voided"),
    ("sale 1 =x | T2 void of:x", "forbidden_location"),
    ("transfer_out 1 to:L1", "invalid_body"),
]


@pytest.mark.parametrize(("story", "code"), REJECTED)
@each_way
def test_what_is_rejected(shops: Shops, story: str, code: str, at_once: bool) -> None:
    last = shops.play(story, at_once)[-1]
    assert (last.status, last.code) == ("rejected", code)
