"""What a page is asked for: the parameters of its address, which hold all of its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args
from urllib.parse import quote, urlencode

import msgspec

from inventory_server.domain.levels import LevelOrder, LevelView
from inventory_server.domain.limits import SEARCH_LENGTH_MAX
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.limits import VALUE_LENGTH_MAX

STOCK_PATH = "/stock"
VIEWS: tuple[LevelView, ...] = get_args(LevelView)
ORDERS: tuple[LevelOrder, ...] = get_args(LevelOrder)
_DESCENDING_FIRST = frozenset(("moved",))
"""What one click sorts the latest first."""
_DIRECTIONS = ("ascending", "descending")


class StockAddress(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the page Stock; a default is left out of its address."""

    q: str = ""
    view: LevelView = "all"
    location: str = ""
    supplier: str = ""
    sort: LevelOrder = "shortage"
    descending: bool = False
    after: str = ""

    def url(self, **changed: object) -> str:
        """The address with some of it changed, from its first page on unless `after` is given."""
        state = msgspec.structs.replace(self, **{"after": "", **changed})
        pairs = [
            ("q", state.q),
            ("view", "" if state.view == "all" else state.view),
            ("location", state.location),
            ("supplier", state.supplier),
            ("sort", "" if state.sort == "shortage" else state.sort),
            ("direction", "descending" if state.descending else ""),
            ("after", state.after),
        ]
        query = urlencode([pair for pair in pairs if pair[1]])
        return f"{STOCK_PATH}?{query}" if query else STOCK_PATH

    def sorted_by(self, order: LevelOrder) -> str:
        """The address sorted by a column; a second click turns it round."""
        first = order in _DESCENDING_FIRST
        return self.url(sort=order, descending=not self.descending if order == self.sort else first)


def stock_address(pairs: Iterable[tuple[str, str]]) -> StockAddress:
    """The state in the parameters of an address; RequestError that says what is wrong with them."""
    given = _once(pairs, ("q", "view", "location", "supplier", "sort", "direction", "after"))
    if len(given.get("q", "")) > SEARCH_LENGTH_MAX:
        raise _wrong("q", f"at most {SEARCH_LENGTH_MAX} characters", given["q"])
    return StockAddress(
        q=given.get("q", "").strip(),
        view=_one_of("view", given.get("view") or "all", VIEWS),  # type: ignore[arg-type]
        location=given.get("location", ""),
        supplier=given.get("supplier", ""),
        sort=_one_of("sort", given.get("sort") or "shortage", ORDERS),  # type: ignore[arg-type]
        descending=_one_of("direction", given.get("direction") or "ascending", _DIRECTIONS) == "descending",
        after=given.get("after", ""),
    )


def product_url(sku: str, location: str = "", sales: str = "") -> str:
    """The address of a product, with its story at a location; `sales` is "each" to see every one."""
    query = urlencode([pair for pair in (("location", location), ("sales", sales)) if pair[1]])
    path = f"/product/{quote(sku, safe='')}"
    return f"{path}?{query}" if query else path


def chosen(pairs: Iterable[tuple[str, str]], choices: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The parameters of an address by name: one of the choices each, any text where there are none; "" if left out."""
    given = _once(pairs, tuple(choices))
    return {
        name: _one_of(name, given.get(name) or allowed[0], allowed) if allowed else given.get(name, "")
        for name, allowed in choices.items()
    }


def _once(pairs: Iterable[tuple[str, str]], names: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in names:
            raise _wrong("the address", f"one of {', '.join(names)}", name)
        if name in given:
            raise _wrong(name, "it once", "it twice")
        given[name] = value
    return given


def _one_of(name: str, value: str, allowed: Iterable[str]) -> str:
    if value not in allowed:
        raise _wrong(name, f"one of {', '.join(allowed)}", value)
    return value


def _wrong(name: str, expected: str, came: str) -> RequestError:
    shown = came[:VALUE_LENGTH_MAX]
    message = f"{name}: expected {expected}, got {shown!r}; correct the address, or start at {STOCK_PATH}."
    return RequestError(ErrorCode.invalid_params, message, path=f"$.{name}", expected=expected, came=shown)
