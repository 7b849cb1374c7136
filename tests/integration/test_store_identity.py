"""An id has one content and one answer, for ever: whatever else is sent under it is kept aside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inventory_server.store import Store
from tests.support.ledgers import Till, body, level, opened, uid

TWICE = uid("an id that a faulty till program uses twice")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "ledger.db") as store:
        yield store


def test_another_content_under_a_posted_id_is_a_conflict(store: Store) -> None:
    till = Till(store)
    till.posts(body("sale", ("a", 1)), TWICE)
    assert (till.posts(body("sale", ("a", 2)), TWICE).status, level(store).on_hand) == ("conflict", -1)


def test_another_content_under_a_rejected_id_is_a_conflict_and_not_refused_for_the_first_ones_reason(
    store: Store,
) -> None:
    till = Till(store)
    refused = till.posts(body("sale", ("a", 1), location="elsewhere"), TWICE)
    assert (refused.status, refused.code) == ("rejected", "forbidden_location")
    other = till.posts(body("sale", ("a", 2)), TWICE)
    assert (other.status, other.code) == ("conflict", "id_taken")
    assert till.posts(body("sale", ("a", 1), location="elsewhere"), TWICE) == refused
