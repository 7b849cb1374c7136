"""Documents as they are stored after each commit are those of a replay of all postings, however they are cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from inventory_server.domain.requests import Post
from inventory_server.store.ledger import tables
from pos_client.protocol.fields import PostingType
from pos_client.protocol.messages import PostResult
from pos_client.protocol.units import instant
from tests.support.ledgers import HOUR, NOON, body, enrol, hello, item, opened, outcome_of, proof_of, uid
from tests.support.sites import Site, on_postgresql, on_sqlite

KINDS: list[PostingType] = [
    *("transfer_out", "transfer_out", "transfer_in", "transfer_in", "transfer_close", "reserve", "reserve"),
    *("release", "release", "sale", "return", "void", "void", "count"),
]
LINK = {"void": "voids", "return": "returns", "transfer_close": "transfer"}
LOCATIONS = ["L1", "L2"]


@st.composite
def stories(draw: st.DrawFn) -> list[list[tuple[int, bytes]]]:
    """Commits of numbered bodies that name each other, also before they arrive."""
    total = draw(st.integers(2, 14))
    arrivals = [(number, draw(bodies(number, total))) for number in draw(st.permutations(range(total)))]
    cuts = sorted(draw(st.sets(st.integers(1, total - 1), max_size=total - 1)))
    return [arrivals[first:last] for first, last in zip([0, *cuts], [*cuts, total], strict=True)]


@st.composite
def bodies(draw: st.DrawFn, number: int, total: int) -> bytes:
    kind = draw(st.sampled_from(KINDS))
    at = NOON + draw(st.integers(-30, 20)) * HOUR
    other = uid(draw(st.integers(0, total - 2).map(lambda other: other + (other >= number))))
    fields: dict[str, Any] = {}
    if kind in LINK:
        fields[LINK[kind]] = other
    if kind == "void":
        return body(kind, at=at, **fields)
    fields["location"] = draw(st.sampled_from(LOCATIONS))
    if kind in ("transfer_out", "transfer_in"):
        fields["other_location"] = LOCATIONS[1 - LOCATIONS.index(fields["location"])]
    if kind in ("transfer_in", "release", "sale") and draw(st.booleans()):
        fields["transfer" if kind == "transfer_in" else "reservation"] = other
    if kind == "reserve" and draw(st.booleans()):
        fields["expires_at"] = instant(at + draw(st.integers(-1, 20)) * HOUR)
    lines = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6)), min_size=1, max_size=2)
    if kind == "transfer_close":
        fields["reason"] = "lost"
        return body(kind, *(draw(lines) if draw(st.booleans()) else []), at=at, **fields)
    return body(kind, *draw(lines), at=at, **fields)


modest = settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@on_sqlite
@modest
@given(story=stories())
def test_documents_are_those_of_a_replay(site: Site, story: Any) -> None:
    documents_are_those_of_a_replay(site, story)


@pytest.mark.long
@on_sqlite
@settings(modest, max_examples=60)
@given(story=stories())
def test_documents_of_many_stories_are_those_of_a_replay(site: Site, story: Any) -> None:
    documents_are_those_of_a_replay(site, story)


@pytest.mark.long
@on_postgresql
@settings(modest, max_examples=6)
@given(story=stories())
def test_documents_in_postgresql_are_those_of_a_replay(site: Site, story: Any) -> None:
    documents_are_those_of_a_replay(site, story)


def documents_are_those_of_a_replay(site: Site, story: list[list[tuple[int, bytes]]]) -> None:
    """Verification draws all documents anew and compares what is left of each and what waits for one."""
    ledger = site.new()
    with pytest.MonkeyPatch.context() as patch, opened(ledger) as store:
        patch.setattr(tables, "SEGMENT_POSITIONS_LOG2", 2)
        enrol(store, "O", "operator", "HQ")
        speaker = hello(store, "O").speaker
        for commit in story:
            post = Post(speaker, [item(raw, uid(number)) for number, raw in commit], None)
            outcome = outcome_of(store.submit(post).wait)
            assert isinstance(outcome, PostResult), outcome
            proof = proof_of(ledger)
            assert proof.holds, proof.findings
    site.clear()
