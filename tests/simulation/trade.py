"""What happens in the shops: sales, deliveries, counts, voids, and now and then nonsense."""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from typing import Any
from uuid import UUID

import msgspec

from pos_client.protocol.fields import PostingType, Role
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import Quantity, instant, micros, scaled
from pos_client.protocol.wire import encode_body
from tests.simulation.book import Book, Created
from tests.simulation.world import DAY, MINUTE, World

LOCATIONS = ("North", "South")
SKUS = ("apple", "bread", "cider")
UNLISTED = "durian"
_Kinds = tuple[list[PostingType], list[int]]


def _kinds(weights: dict[PostingType, int]) -> _Kinds:
    """As `random.choices` wants them: the kinds, and the sums of their weights up to each."""
    return list(weights), list(accumulate(weights.values()))


_TILL = _kinds(
    {
        "sale": 50,
        "return": 8,
        "receipt": 8,
        "adjustment": 4,
        "count": 10,
        "transfer_out": 4,
        "transfer_in": 3,
        "reserve": 2,
        "release": 1,
        "void": 10,
    }
)
_OPERATOR = _kinds({"count": 40, "adjustment": 15, "receipt": 10, "transfer_out": 5, "void": 30})
_VOID_REFUSALS = frozenset({"already_voided", "not_voidable", "forbidden_location"})


class Trade:
    """Makes postings. `odd` is how often one of them is nonsense of some kind."""

    def __init__(self, world: World, book: Book, odd: float) -> None:
        self._world = world
        self._book = book
        self._odd = odd
        self._voidable: list[Created] = []

    def posting(self, posting_id: UUID, terminal: str, role: Role, home: str, now: int) -> Created:
        """Something happens at a device whose clock shows `now`."""
        random = self._world.random
        kinds, weights = _OPERATOR if role == "operator" else _TILL
        kind = random.choices(kinds, cum_weights=weights)[0]
        named = random.random() < (0.8 if role == "operator" else 0.2)
        location = random.choice(LOCATIONS) if named and role == "operator" else home
        body: dict[str, Any] = {"type": kind, "occurred_at": instant(self._occurred_at(kind, now))}
        if named:
            body["location"] = location
        refusals: frozenset[str] = frozenset()
        if kind == "void" and self._voidable:
            target = self._target(location, role)
            body["voids"] = target.id
            refusals = _VOID_REFUSALS
            location = location if named or role == "till" else target.location
        else:
            body["type"] = kind = "sale" if kind == "void" else kind
            body["lines"] = [self._line(kind) for _ in range(random.randint(1, 3))]
            if kind in ("transfer_out", "transfer_in"):
                body["other_location"] = next(other for other in LOCATIONS if other != location)
            refusals = frozenset({"not_available"}) if kind in ("transfer_out", "reserve") else refusals
        made = Body(**body)
        created = self._created(posting_id, encode_body(made), made, terminal, role, location, refusals)
        return self._oddly(created) if self._world.happens(self._odd) else self._remember(created)

    def reused_id(self, terminal: str, role: Role, home: str, now: int) -> Created | None:
        """A faulty till program gives another content to an id that is taken elsewhere."""
        others = [made for made in self._voidable if made.terminal != terminal]
        if not others:
            return None
        taken = self._world.random.choice(others)
        body = Body("sale", instant(now), [Line(7, sku=SKUS[0])], reference="id used twice")
        created = self._created(taken.id, encode_body(body), body, terminal, role, home, frozenset())
        created.reused = True
        return created

    def _created(
        self,
        posting_id: UUID,
        raw: bytes,
        body: Body | None,
        terminal: str,
        role: Role,
        location: str,
        refusals: frozenset[str],
    ) -> Created:
        lines = [] if body is None or not isinstance(body.lines, list) else body.lines
        moved = [(str(line.sku), scaled(line.quantity)) for line in lines]
        occurred_at = 0 if body is None else micros(body.occurred_at)
        return Created(posting_id, raw, body, occurred_at, moved, terminal, role, location, refusals)

    def _remember(self, created: Created) -> Created:
        assert created.body is not None
        if created.body.type != "void" or self._world.happens(0.1):
            self._voidable.append(created)
        return created

    def _oddly(self, created: Created) -> Created:
        """Spoil a posting: a body that can never be posted, a foreign location, or one that crashes its handler."""
        assert created.body is not None
        way = self._world.random.choice(("poison", "broken", "foreign"))
        if way == "poison":
            created.raw = encode_body(msgspec.structs.replace(created.body, reference="poison"))
            created.poisoned = True
        elif way == "broken" or created.role == "operator" or created.body.type == "void":
            created.raw = created.raw.replace(b'"type":"', b'"type":"un', 1)
            created.body, created.refusals = None, frozenset({"invalid_body"})
        else:
            created.raw = encode_body(msgspec.structs.replace(created.body, location="Elsewhere"))
            created.refusals = frozenset({"forbidden_location"})
        created.__post_init__()
        return created

    def _target(self, location: str, role: Role) -> Created:
        here = [made for made in self._voidable if made.location == location or role == "operator"]
        return self._world.random.choice((here or self._voidable)[-12:])

    def _occurred_at(self, kind: PostingType, now: int) -> int:
        """Mostly now; counts and corrections are sometimes written down later than they happened."""
        if kind in ("sale", "void") or not self._world.happens(0.2):
            return now
        return now - self._world.between((0, 30 * MINUTE) if self._world.happens(0.8) else (0, 100 * DAY))

    def _line(self, kind: PostingType) -> Line:
        random = self._world.random
        sku = UNLISTED if random.random() < 0.03 else random.choice(SKUS)
        whole = random.randint(0, 60) if kind == "count" else random.randint(1, 5)
        quantity: Quantity = Decimal(whole) / 8 if random.random() < 0.1 else whole
        backwards = kind == "adjustment" or (kind == "sale" and random.random() < 0.1)
        return Line(-quantity if backwards and random.random() < 0.5 else quantity, sku=sku)
