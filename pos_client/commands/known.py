"""Names that HQ knows, found by the questions that anybody may ask: an excerpt, enough to complete or correct one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pos_client.commands.limits import NEAR_PAGE, POSTINGS_LOOKED_AT_MAX
from pos_client.protocol.lists import ListedPosting, PostingsParams
from pos_client.protocol.messages import StockParams, StockResult

Ask = Callable[[str, Any], Any]
"""Makes a request of HQ: its method and its params."""


def known_skus(ask: Ask, begin: str) -> Iterable[str]:
    """SKUs that have `begin` in them: listed ones, or else any that were posted."""
    if begin.strip():
        listed: StockResult = ask("stock", StockParams(search=begin, limit=NEAR_PAGE))
        if listed.items:
            return {item.sku for item in listed.items}
    found: StockResult = ask("stock", StockParams(limit=NEAR_PAGE))
    return {item.sku for item in found.items}


def known_locations(ask: Ask) -> Iterable[str]:
    """The locations of a page of stock and of the latest postings: a large store may fill the page by itself."""
    page: StockResult = ask("stock", StockParams(limit=NEAR_PAGE))
    return {*page.completeness, *(posting.location for posting in _latest(ask))}


def known_terminals(ask: Ask) -> Iterable[str]:
    """The terminals of the latest postings."""
    return {posting.terminal for posting in _latest(ask)}


def known_references(ask: Ask) -> Iterable[str]:
    """The receipt and document numbers of the latest postings."""
    return {posting.reference for posting in _latest(ask) if posting.reference is not None}


def _latest(ask: Ask) -> list[ListedPosting]:
    postings: list[ListedPosting] = ask("postings", PostingsParams(limit=POSTINGS_LOOKED_AT_MAX)).postings
    return postings
