"""The fault kit's test cases: which faults each injects, and how often."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Case(Struct, frozen=True):
    """One kind of trouble: the probability of each fault per post, and how often the program or HQ goes down."""

    name: str
    what: str
    chances: Mapping[str, float] = {}
    kill_every_seconds: float | None = None
    away_every_seconds: float | None = None


CASES = [
    Case("calm", "no faults except one kill -9 at the end"),
    Case("drop_request", "the connection is closed before a post is executed", {"drop_request": 0.3}),
    Case("drop_answer", "a post is executed, its answer is lost", {"drop_answer": 0.3}),
    Case("cut_answer", "half of the answer arrives", {"cut_answer": 0.3}),
    Case("delay", "answers come late", {"delay": 0.3}),
    Case("duplicate", "posts arrive twice", {"duplicate": 0.3}),
    Case("busy", "HQ is busy or shutting down", {"busy": 0.4}),
    Case("away", "HQ is unreachable for a while, repeatedly", away_every_seconds=1.0),
    Case("fenced", "another device connects as this till", {"fenced": 0.05}),
    Case("kill", "the program is killed at random", kill_every_seconds=0.7),
    Case("kill_unanswered", "the program is killed before its post is answered", {"kill": 0.15}),
    Case(
        "everything",
        "all faults together",
        dict.fromkeys(("drop_request", "drop_answer", "cut_answer", "delay", "duplicate", "busy", "kill"), 0.05),
        kill_every_seconds=2.0,
        away_every_seconds=2.5,
    ),
]
"""All cases, the mildest first."""
