"""What happens in the shops: sales, deliveries, transfers, counts, voids, merges, and now and then nonsense."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import accumulate
from typing import Any
from uuid import UUID

import msgspec

from inventory_server.domain.roles import RESERVED_TERMINAL
from pos_client.protocol.fields import PostingType, Role
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import Quantity, instant, micros, scaled
from pos_client.protocol.wire import encode_body
from tests.simulation.book import Book, Created
from tests.simulation.world import DAY, HOUR, MINUTE, SECOND, World

STORES = ("North", "South")
LOCATIONS = (*STORES, "Depot")
"""Those that HQ knows; tills stand in stores only."""
UNKNOWN_LOCATION = "Kiosk"
SKUS = ("apple", "bread", "cider")
UNLISTED = "durian"
BARCODES = {"00000040000008": "apple"}
"""The listed ones, by their 14 digits."""
LISTED_LATER = "04006381333931"
"""A barcode that the catalogue may come to list during the day."""
PRODUCTS = (*SKUS, UNLISTED, f"gtin:{LISTED_LATER}")
"""All that may be merged."""
SCANNED = ("40000008", "000040000008", "0000040000008", "00000040000008", "4006381333931", "04006381333931")
"""What scanners read: a listed barcode in all forms, and one that nobody listed in two."""
RECENT = 8
"""A document that names another one names one of so many that came last."""
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
        "transfer_close": 1,
        "reserve": 2,
        "release": 1,
        "void": 10,
    }
)
_TILL_WITH_DOCUMENTS = _kinds(
    {
        "sale": 20,
        "return": 10,
        "receipt": 6,
        "adjustment": 4,
        "count": 8,
        "transfer_out": 14,
        "transfer_in": 14,
        "transfer_close": 3,
        "reserve": 7,
        "release": 7,
        "void": 7,
    }
)
_OPERATOR = _kinds(
    {"count": 40, "adjustment": 15, "receipt": 10, "transfer_out": 5, "transfer_in": 5, "transfer_close": 2, "void": 30}
)
_WITH_MERGES = _kinds(
    {
        "merge": 40,
        "count": 15,
        "adjustment": 10,
        "receipt": 10,
        "transfer_out": 5,
        "transfer_in": 5,
        "transfer_close": 2,
        "void": 30,
    }
)
"""What an operator posts in a chain that tidies up its catalogue."""
_VOID_REFUSALS = frozenset({"already_voided", "not_voidable", "forbidden_location"})
_NAMES: dict[PostingType, tuple[str, PostingType, float]] = {
    "sale": ("reservation", "reserve", 0.1),
    "release": ("reservation", "reserve", 0.4),
    "return": ("returns", "sale", 0.6),
    "transfer_in": ("transfer", "transfer_out", 0.5),
    "transfer_close": ("transfer", "transfer_out", 1.0),
}
"""What a posting of a type may name: the field, the type that is meant, and how often it does so."""
_REFUSALS: dict[PostingType, frozenset[str]] = {
    "transfer_out": frozenset({"not_available"}),
    "reserve": frozenset({"not_available"}),
    "merge": frozenset({"not_mergeable"}),
}
"""What HQ may say to postings of a type."""


def home_of(terminal: str) -> str:
    """Where a till is enrolled."""
    return STORES[int(terminal[-1]) % 2]


class Trade:
    """Makes postings. `odd` is how often one of them is nonsense of some kind.

    Some chains move goods about all day (`with_documents`), some tidy up their catalogue (`with_merges`), and some
    tills write down whole seconds only.
    """

    def __init__(
        self,
        world: World,
        book: Book,
        odd: float,
        *,
        with_documents: bool,
        with_merges: bool,
        with_moves: bool,
        whole_seconds: bool,
    ) -> None:
        self._world = world
        self._book = book
        self._odd = odd
        self._till_kinds = _TILL_WITH_DOCUMENTS if with_documents else _TILL
        self._operator_kinds = _WITH_MERGES if with_merges else _OPERATOR
        self._with_merges = with_merges
        self._with_moves = with_moves
        self._whole_seconds = whole_seconds
        self._voidable: list[Created] = []
        self._made: dict[PostingType, list[Created]] = defaultdict(list)

    def posting(self, posting_id: UUID, terminal: str, role: Role, home: str, now: int) -> Created:
        """Something happens at a device whose clock shows `now`."""
        random = self._world.random
        kinds, weights = self._operator_kinds if role == "operator" else self._till_kinds
        kind = random.choices(kinds, cum_weights=weights)[0]
        named = random.random() < (0.8 if role == "operator" else 0.2)
        named = named or (self._with_moves and role == "till")  # it may be elsewhere when it delivers
        location = random.choice(LOCATIONS) if named and role == "operator" else home
        by_hand = kind not in ("sale", "void") and self._world.happens(0.2)
        body: dict[str, Any] = {"type": kind, "occurred_at": instant(self._occurred_at(now, by_hand))}
        if named:
            body["location"] = location
        refusals: frozenset[str] = frozenset()
        if kind == "void" and self._voidable:
            target = self._target(location, role)
            body["voids"] = target.id
            refusals = _VOID_REFUSALS
            location = location if named or role == "till" else target.location
        else:
            body |= self._content(kind, location, now)
            refusals = _REFUSALS.get(body["type"], refusals)
        made = Body(**body)
        created = self._created(posting_id, encode_body(made), made, terminal, role, location, refusals)
        created.by_hand = by_hand
        return self._oddly(created) if self._world.happens(self._odd) else self._remember(created)

    def document(self, posting_id: UUID, terminal: str, home: str, now: int, **said: Any) -> Created:
        """A till posts what it is told to."""
        made = Body(occurred_at=instant(now), **said, **self._place(home))
        refusals = frozenset({"not_available"})
        return self._remember(self._created(posting_id, encode_body(made), made, terminal, "till", home, refusals))

    def merge_pair(self) -> tuple[str, str]:
        """What is to be merged into what: mostly two products, now and then one into itself."""
        ended, into = self._world.random.choice(PRODUCTS), self._world.random.choice(SKUS)
        if ended == into and self._world.happens(0.8):
            into = self._world.random.choice([sku for sku in SKUS if sku != ended])
        return ended, into

    def hq_merge(self, posting_id: UUID, body: Body) -> Created:
        """HQ merges two products itself, at no location."""
        raw = encode_body(body)
        return self._remember(self._created(posting_id, raw, body, RESERVED_TERMINAL, "operator", "", frozenset()))

    def reused_id(self, terminal: str, role: Role, home: str, now: int) -> Created | None:
        """A faulty till program gives another content to an id that is taken elsewhere."""
        others = [made for made in self._voidable if made.terminal != terminal]
        if not others:
            return None
        taken = self._world.random.choice(others)
        lines = [Line(7, sku=SKUS[0])]
        body = Body("sale", instant(now), lines, reference="id used twice", **self._place(home))
        created = self._created(taken.id, encode_body(body), body, terminal, role, home, frozenset())
        created.reused = True
        return created

    def _place(self, home: str) -> dict[str, Any]:
        return {"location": home} if self._with_moves else {}

    def _created(
        self,
        posting_id: UUID,
        raw: bytes,
        body: Body,
        terminal: str,
        role: Role,
        location: str,
        refusals: frozenset[str],
    ) -> Created:
        lines = body.lines if isinstance(body.lines, list) else []
        quantities = [scaled(line.quantity) for line in lines]
        at = micros(body.occurred_at)
        now = self._world.now
        return Created(posting_id, raw, body, at, now, quantities, terminal, role, location, refusals)

    def _remember(self, created: Created) -> Created:
        assert created.body is not None
        self._made[created.body.type].append(created)
        if created.body.type != "void" or self._world.happens(0.1):
            self._voidable.append(created)
        return created

    def _oddly(self, created: Created) -> Created:
        """Spoil a posting: a body that can never be posted, a foreign location, or one that crashes its handler."""
        assert created.body is not None
        if self._with_merges and created.role == "till" and created.body.type == "sale" and self._world.happens(0.5):
            return self._forbidden(created)
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

    def _forbidden(self, created: Created) -> Created:
        """A till merges products, which only an operator may."""
        ended, into = self.merge_pair()
        assert created.body is not None
        body = Body("merge", created.body.occurred_at, location=created.body.location, merge=ended, into=into)
        raw, refusals = encode_body(body), frozenset({"forbidden_type"})
        return self._created(created.id, raw, body, created.terminal, created.role, created.location, refusals)

    def _target(self, location: str, role: Role) -> Created:
        merges = self._made["merge"][-2:]
        if merges and role == "operator" and self._world.happens(0.4):
            return self._world.random.choice(merges)
        here = [made for made in self._voidable if made.location == location or role == "operator"]
        return self._world.random.choice((here or self._voidable)[-12:])

    def _occurred_at(self, now: int, by_hand: bool) -> int:
        """Mostly now; documents, and seldom sales, are sometimes written down later than they happened."""
        at = now
        if by_hand:
            at -= self._world.between((0, 30 * MINUTE) if self._world.happens(0.8) else (0, 100 * DAY))
        return at - at % SECOND if self._whole_seconds else at

    # ------------------------------------------------------------------------------ contents

    def _content(self, kind: PostingType, location: str, now: int) -> dict[str, Any]:
        """The fields of a body besides its instant and its place; a sale where a type has nothing to refer to."""
        if kind == "merge":
            ended, into = self.merge_pair()
            return {"type": kind, "merge": ended, "into": into}
        earlier = [made for made in self._made[kind][-RECENT:] if made.location == location]
        if earlier and kind in ("receipt", "adjustment", "transfer_out", "transfer_in") and self._world.happens(0.15):
            return _keyed_again(self._world.random.choice(earlier))
        named = self._named(kind)
        if kind == "void" or (kind == "transfer_close" and not named):
            kind = "sale"
        said: dict[str, Any] = {"type": kind, **named, "lines": self._lines(kind, named)}
        if kind == "transfer_close":
            said["reason"] = self._world.random.choice(("lost", "refused", "mistake"))
            if self._world.happens(0.5):
                del said["lines"]
        if kind == "transfer_out" or (kind == "transfer_in" and not named):
            said["other_location"] = self._other_location(location)
        if kind == "transfer_in" and not named and self._world.happens(0.7):
            said |= self._sent_to(location)
        if kind == "reserve" and self._world.happens(0.5):
            said["expires_at"] = instant(now + self._world.between((-HOUR, HOUR)))
        if kind in ("receipt", "adjustment", "transfer_out", "transfer_in") and self._world.happens(0.5):
            said["reference"] = f"DN-{self._world.between((1, 99))}"
        return said

    def _named(self, kind: PostingType) -> dict[str, UUID]:
        """The posting that one of a type names, if it does; now and then one of another type."""
        field, meant, how_often = _NAMES.get(kind, ("", kind, 0.0))
        if not self._world.happens(how_often):
            return {}
        found = self._voidable if self._world.happens(0.05) else self._made[meant]
        return {field: self._world.random.choice(found[-RECENT:]).id} if found else {}

    def _sent_to(self, location: str) -> dict[str, Any]:
        """What of a transfer's content a receipt says that does not name it: mostly of the latest few."""
        sent = [made for made in self._made["transfer_out"][-RECENT:] if made.body and made.body_lines]
        sent = [made for made in sent if made.body and made.body.other_location == location]
        if not sent:
            return {}
        made = self._world.random.choice(sent)
        return {"other_location": made.location, "lines": made.body_lines}

    def _other_location(self, location: str) -> str:
        if self._world.happens(0.05):
            return UNKNOWN_LOCATION
        others = [other for other in (STORES if self._world.happens(0.8) else LOCATIONS) if other != location]
        return self._world.random.choice(others)

    def _lines(self, kind: PostingType, named: dict[str, UUID]) -> list[Line]:
        """Mostly those of the posting that it names, or a part of them; else any."""
        for posting_id in named.values():
            lines = [line for line in self._book.created[posting_id][0].body_lines if scaled(line.quantity) > 0]
            if lines and self._world.happens(0.7):
                return [line for line in lines if self._world.happens(0.8)] or lines
        return [self._line(kind) for _ in range(self._world.between((1, 3)))]

    def _line(self, kind: PostingType) -> Line:
        random = self._world.random
        whole = random.randint(0, 60) if kind == "count" else random.randint(1, 5)
        quantity: Quantity = Decimal(whole) / 8 if random.random() < 0.1 else whole
        backwards = kind == "adjustment" or (kind == "sale" and random.random() < 0.1)
        quantity = -quantity if backwards and random.random() < 0.5 else quantity
        if random.random() < (0.15 if self._with_merges else 0.06):
            return Line(quantity, gtin=random.choice(SCANNED))
        unlisted = random.random() < (0.15 if self._with_merges else 0.03)
        return Line(quantity, sku=UNLISTED if unlisted else random.choice(SKUS))


def _keyed_again(made: Created) -> dict[str, Any]:
    """The content of a document that is keyed in a second time."""
    assert made.body is not None
    said = msgspec.structs.asdict(made.body)
    kept = ("type", "lines", "reference", "other_location", "transfer")
    return {name: said[name] for name in kept if said[name] is not msgspec.UNSET}
