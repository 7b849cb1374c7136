"""The flags of the last posting of a story, but for those of the clock. One case per line."""

import pytest

from tests.support.model.flags import CLOCK_FLAGS
from tests.support.model.story import answers

LISTED = {"a", "b", "c"}
STOCK = "receipt a=100 @0"
OUT, IN = "transfer_out a=10 other:L2 @1", "transfer_in location:L2 @2"
CASES = [
    # (story, certain flags, flags left open)
    (f"{STOCK} | sale a=1", "", ""),
    ("sale a=1 @0 | receipt a=1", "", ""),
    # unlisted_product
    ("receipt z=1", "unlisted_product", ""),
    ("receipt a=1 40170725=1", "unlisted_product", ""),
    ("receipt z=1 | void voids:1", "", ""),
    # negative_stock: it lowered a level and left it below zero
    ("sale a=1", "negative_stock", ""),
    ("sale a=2 @0 | receipt a=1", "", ""),
    ("sale a=1 a=-1", "", ""),
    ("receipt a=1 | adjustment a=-2", "negative_stock", ""),
    ("receipt a=1 @1 | sale a=1 @2 | void voids:1", "negative_stock", ""),
    ("receipt a=5 @1 | sale a=2 @3 | count a=1 @2", "negative_stock", ""),
    ("sale a=2 @1 | count a=0 @2 | sale a=1 @1", "before_count", ""),
    ("sale a=1 @1 | merge merge:a into:b @2", "", "negative_stock"),
    # before_count
    (f"{STOCK} | count a=1 @5 | sale a=1 @4", "before_count", ""),
    (f"{STOCK} | count a=1 @5 | sale a=1 @5", "", ""),
    (f"{STOCK} | count a=1 @5 | sale a=0 @4", "", "before_count"),
    (f"{STOCK} b=1 | count a=1 @5 | sale b=1 @4", "", ""),
    (f"{STOCK} | count a=1 @5 location:L2 | sale a=1 @4", "", ""),
    (f"{STOCK} | count a=1 @5 | reserve a=1 @4", "", ""),
    (f"{STOCK} | count a=1 @25 | count a=0 @4", "before_count", ""),
    (f"{STOCK} | count a=1 @5 | void voids:1", "before_count", ""),
    (f"{STOCK} | count a=1 @5 | void voids:2", "", ""),
    (f"{STOCK} | count a=1 @5 | void voids:2 | sale a=1 @4", "", ""),
    (f"{STOCK} | merge merge:a into:b @1 | count b=1 @5 | sale a=1 @4", "before_count", ""),
    (f"{STOCK} | merge merge:a into:b @2 | count b=1 @5 | sale a=1 @1", "", "before_count"),
    (f"{STOCK} | count b=1 @5 | merge merge:a into:b @2", "", "before_count"),
    # recounted: by another terminal within 12 hours
    ("count a=1 @1 | count a=2 @2 by:t1", "recounted", ""),
    ("count a=1 @2 | count a=2 @1 by:t1", "recounted before_count", ""),
    ("count a=1 @1 | count a=2 @2", "", ""),
    ("count a=1 @1 | count a=2 @12.99 by:t1", "recounted", ""),
    ("count a=1 @1 | count a=2 @13 by:t1", "", "recounted"),
    ("count a=1 @1 | count a=2 @13.01 by:t1", "", ""),
    ("count b=1 @1 | count a=2 @2 by:t1", "", ""),
    ("count a=1 @1 location:L2 | count a=2 @2 by:t1", "", ""),
    ("count a=1 @1 | void voids:1 | count a=2 @2 by:t1", "", ""),
    # orphan: a name that HQ does not know, or of another kind, or voided
    ("void voids:9", "orphan", ""),
    (f"{STOCK} | sale a=1 reservation:9", "orphan", ""),
    (f"{STOCK} | sale a=1 reservation:1", "orphan", ""),
    (f"{STOCK} | reserve a=1 | void voids:2 | sale a=1 reservation:2", "orphan", ""),
    (f"{STOCK} | reserve a=1 | sale a=1 reservation:2", "", ""),
    ("reserve a=1 | release a=1 reservation:9", "orphan", "nothing_reserved"),
    (f"{IN} a=1 transfer:9", "orphan", "over_received"),
    ("transfer_close transfer:9 reason:lost", "orphan", "over_received"),
    ("return a=1 returns:9", "orphan", ""),
    ("return a=1 returns:2 | return a=1 returns:1", "orphan", ""),
    ("sale a=-1 | void voids:1 | return a=1 returns:1", "orphan over_returned", ""),
    # over_returned
    ("sale a=2 | return a=2 returns:1", "", ""),
    ("sale a=2 | return a=1 returns:1 | return a=2 returns:1", "over_returned", ""),
    ("sale a=2 | return a=1 returns:1 | void voids:2 | return a=2 returns:1", "", ""),
    ("sale a=2 | return b=1 returns:1", "over_returned", ""),
    ("sale a=2 a=-1 | return a=2 returns:1", "", "over_returned"),
    ("sale a=2 | return a=3", "", ""),
    (f"{STOCK} | return a=3 returns:3 | sale a=2", "over_returned", ""),
    (f"{STOCK} | return a=2 returns:3 | sale a=2", "", ""),
    ("sale a=2 | return a=2 returns:1 | void voids:1", "over_returned", ""),
    ("sale a=2 | return a=2 returns:1 | void voids:2", "negative_stock", ""),
    # over_received
    (f"{STOCK} | {OUT} | {IN} a=10 transfer:2", "", "over_received"),
    (f"{STOCK} | {OUT} | {IN} a=11 transfer:2", "over_received", ""),
    (f"{STOCK} | {OUT} | {IN} a=11 transfer:2 | {IN} a=1 transfer:2", "over_received", ""),
    (f"{STOCK} | {OUT} | {IN} a=11 other:L1", "over_received", "orphan"),
    (f"{STOCK} | {OUT} | {IN} a=10 other:L1", "", ""),
    (f"{IN} a=1 other:L1", "", "over_received orphan"),
    (f"{STOCK} | {IN} a=11 transfer:3 | {OUT}", "over_received", ""),
    (f"{STOCK} | {OUT} | {IN} a=1 transfer:2 | void voids:2", "over_received", ""),
    (f"{STOCK} | {OUT} | {IN} a=1 other:L1 | void voids:2", "", "over_received"),
    (f"{STOCK} | {OUT} | void voids:2", "", "over_received"),
    # other_destination, unknown_location
    (f"{STOCK} | {OUT} | transfer_in a=1 transfer:2 location:W", "other_destination", "over_received"),
    (f"{STOCK} | transfer_in a=1 transfer:3 location:W | {OUT}", "other_destination", "over_received"),
    (f"{STOCK} | transfer_out a=1 other:X", "unknown_location", "over_received"),
    ("receipt a=1 location:X", "unknown_location", ""),
    # nothing_reserved: no line of an unnamed release found anything
    ("release a=1", "nothing_reserved", ""),
    ("release a=0", "", "nothing_reserved"),
    ("reserve a=1 | release a=1 b=1", "", ""),
    ("reserve a=1 | release a=1 | release a=1", "nothing_reserved", ""),
    ("reserve a=1 | release a=1 reservation:1", "", "nothing_reserved"),
    # repeated_document
    ("receipt a=1 reference:D | receipt a=1 reference:D", "repeated_document", ""),
    ("receipt a=1 reference:D | receipt a=1.0 reference:D", "repeated_document", ""),
    ("receipt a=1 | receipt a=1", "", ""),
    ("receipt a=1 reference:D | receipt a=1 reference:E", "", ""),
    ("receipt a=1 reference:D | receipt a=2 reference:D", "", ""),
    ("receipt a=1 a=1 reference:D | receipt a=2 reference:D", "", "repeated_document"),
    ("receipt a=1 reference:D | receipt a=1 reference:D location:L2", "", ""),
    ("receipt a=1 reference:D | adjustment a=1 reference:D", "", ""),
    ("receipt a=1 reference:D | void voids:1 | receipt a=1 reference:D", "", ""),
    (f"{STOCK} | sale a=1 reference:D | sale a=1 reference:D", "", ""),
    (f"{STOCK} | {OUT} reference:D | {OUT} reference:D", "repeated_document", "over_received"),
]


@pytest.mark.parametrize(("story", "certain", "left_open"), CASES)
def test_flags(story: str, certain: str, left_open: str) -> None:
    answer = answers(story, listed=LISTED)[-1]
    assert answer.flags - CLOCK_FLAGS == set(certain.split())
    assert answer.open_flags == set(left_open.split())


def test_without_a_catalogue_only_a_barcode_is_known_to_be_unlisted() -> None:
    assert answers("receipt a=1")[-1].open_flags == {"unlisted_product"}
    assert "unlisted_product" in answers("receipt 40170725=1")[-1].flags


def test_a_listed_barcode_is_its_product() -> None:
    answer = answers("receipt 40170725=1", listed=LISTED, barcodes={"00000040170725": "a"})[-1]
    assert "unlisted_product" not in answer.flags


def test_what_was_voided_before_it_came_may_have_any_flag() -> None:
    assert {"orphan", "negative_stock"} <= answers("void voids:2 | sale a=1")[-1].open_flags
