"""Lists, asked of a store: all pages of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from msgspec import structs

from inventory_server.domain.business_day import Period
from inventory_server.domain.door import perform
from inventory_server.domain.requests import REQUESTS, ListChanges
from inventory_server.domain.roles import HEADQUARTERS, Actor
from inventory_server.store import LedgerStore
from pos_client.protocol.methods import METHODS


def page(
    store: LedgerStore,
    request: Any,
    since: int | date | None = None,
    until: int | date | None = None,
    actor: Actor = HEADQUARTERS,
    **params: Any,
) -> Any:
    """One page of the answer to `request`; `params` are those of its method."""
    asked: Any = METHODS[REQUESTS[request].name].params(**params)
    if request is ListChanges:
        return perform(store, ListChanges(asked, actor=actor))
    return perform(store, request(asked, Period(since, until), actor=actor))


def pages(store: LedgerStore, request: Any, **asked: Any) -> Iterator[Any]:
    """All pages of an answer."""
    found = page(store, request, **asked)
    while True:
        yield found
        if found.cursor is None:
            return
        before, found = found, page(store, request, **asked | {"cursor": found.cursor})
        assert found.cursor != before.cursor, "the next page would be the same again"


def listed(store: LedgerStore, request: Any, **asked: Any) -> list[Any]:
    """The items of all pages of an answer."""
    return [item for found in pages(store, request, **asked) for item in getattr(found, REQUESTS[request].name)]


def without_lines(found: list[Any]) -> list[Any]:
    """Listed postings, without their lines."""
    return [structs.replace(each, lines=[]) for each in found]
