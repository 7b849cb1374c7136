"""Shops in which tests play stories: what tills and an operator post, in words.

A step says who posts (`T1` and `T3` are tills of L1, `T2` is one of L2, `O` an operator), what, and how much (`3` of
`a`, `3b` of `b`). `@2` is two hours after noon, `=x` gives the posting a name, `of:x` names another one, `to:` and
`from:` say where to or where from, `ref:` is a reference, `until:` when a reservation expires. Who posts stays the same
until another one is named, and is `T1` at first.
"""

from __future__ import annotations

import itertools
from typing import Any, cast
from uuid import UUID

from inventory_server.domain.requests import Item, Post
from inventory_server.store import LedgerStore
from pos_client.protocol.fields import PostingType
from pos_client.protocol.messages import PostingResult, PostResult
from pos_client.protocol.units import instant
from tests.support.ledgers import HOUR, NOON, Till, body, enrol, hello, item, stock, together, uid

LINK = {"void": "voids", "return": "returns", "transfer_in": "transfer", "transfer_close": "transfer"}
AT = {"T1": "L1", "T3": "L1", "T2": "L2"}
_numbers = itertools.count()


class Shops:
    """Two locations whose tills play cases, each with products and ids of its own."""

    def __init__(self, store: LedgerStore) -> None:
        self.store = store
        enrol(store, "O", "operator", "HQ")
        self._tills = {name: Till(store, name, location) for name, location in AT.items()}
        self._operator = hello(store, "O").speaker
        self._case = 0

    def play(self, story: str, at_once: bool) -> list[PostingResult]:
        """Post the steps of a case; the result of each."""
        self._case = next(_numbers)
        posts: list[Post] = []
        who = "T1"
        for step in story.split("|"):
            words = step.split()
            who = words.pop(0) if words[0] in (*AT, "O") else who
            posts.append(self._post(who, cast("PostingType", words[0]), words[1:]))
        outcomes = together(self.store, *posts) if at_once else [together(self.store, each)[0] for each in posts]
        assert all(isinstance(outcome, PostResult) for outcome in outcomes), outcomes
        return [cast("PostResult", outcome).results[0] for outcome in outcomes]

    def _post(self, who: str, kind: PostingType, words: list[str]) -> Post:
        fields: dict[str, Any] = {"reason": "lost"} if kind == "transfer_close" else {}
        lines, at, name = [], NOON, None
        for word in words:
            sign, _, value = word.partition(":")
            if sign == "of":
                fields[LINK.get(kind, "reservation")] = self._id(value)
            elif sign in ("to", "from"):
                fields["other_location"] = value
            elif sign == "until":
                fields["expires_at"] = instant(NOON + int(float(value) * HOUR))
            elif sign in ("ref", "location"):
                fields["reference" if sign == "ref" else sign] = value
            elif word[0] in "@=":
                at = NOON + int(float(word[1:]) * HOUR) if word[0] == "@" else at
                name = word[1:] if word[0] == "=" else name
            else:
                lines.append((self.sku(word[-1] if word[-1] in "ab" else "a"), int(word.rstrip("ab"))))
        raw = body(kind, *lines, at=at, **fields)
        id_ = self._id(name or f"unnamed {next(_numbers)}")
        posted: Item = item(raw, id_) if who == "O" else self._tills[who].item(raw, id_)
        return Post(self._operator if who == "O" else self._tills[who].speaker, [posted], None)

    def _id(self, name: str) -> UUID:
        return uid((self._case, name))

    def sku(self, letter: str) -> str:
        """The product that a case calls `letter`."""
        return f"{self._case}{letter}"

    def figures(self, location: str, letter: str = "a", **params: Any) -> tuple[int, int, int]:
        """What is on hand, in transit and reserved."""
        found = stock(self.store, sku=self.sku(letter), location=location, **params).items
        sums = [(each.on_hand, each.in_transit, each.reserved) for each in found] or [(0, 0, 0)]
        return cast("tuple[int, int, int]", sums[0])
