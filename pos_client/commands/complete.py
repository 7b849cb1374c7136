"""Shell completion without HQ: terminals, locations, products and postings that the till's outbox holds.

A shell puts what is offered on its command line as it is, so only names that no shell reads as anything else are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import click
from click.shell_completion import CompletionItem

from pos_client.commands.limits import COMPLETIONS_MAX, POSTINGS_LOOKED_AT_MAX
from pos_client.commands.open_till import open_outbox
from pos_client.protocol.errors import TillwireError
from pos_client.protocol.fields import PostingType
from pos_client.protocol.messages import Body, Line
from pos_client.protocol.printable import printable
from pos_client.protocol.wire import readable_body
from pos_client.till.outbox import Outbox

T = TypeVar("T")
Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
_PLAIN = re.compile(r"[\w./+@%][\w./+@%-]*")


def offered(names: Iterable[object], incomplete: str) -> list[CompletionItem]:
    """The texts of `names` that begin with `incomplete`, in order, without those that a shell could misread."""
    texts = {name for name in names if isinstance(name, str) and name.startswith(incomplete)}
    return [CompletionItem(name) for name in sorted(texts) if _PLAIN.fullmatch(name)][:COMPLETIONS_MAX]


def outbox_terminals(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The terminals that used the outbox."""
    del param
    return offered(_look(ctx, lambda box: [box.terminal, *(held.terminal for held in box.held())]), incomplete)


def outbox_locations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The locations that the outbox and its latest postings name."""
    del param
    named = (each for _, body in _latest(ctx) for each in (body.location, body.other_location))
    return offered([*_look(ctx, lambda box: [box.location]), *named], incomplete)


def outbox_skus(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The SKUs in the outbox's latest postings."""
    del param
    return offered((line.sku for _, body in _latest(ctx) for line in _lines(body)), incomplete)


def outbox_barcodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The barcodes in the outbox's latest postings."""
    del param
    return offered((line.gtin for _, body in _latest(ctx) for line in _lines(body)), incomplete)


def outbox_postings(*types: PostingType) -> Offer:
    """The ids of the outbox's latest postings of these types, of all if none is given; the latest first."""

    def offer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del param
        found = [(key, body) for key, body in _latest(ctx) if not types or body.type in types]
        return [_described(key, body) for key, body in found if str(key).startswith(incomplete)][:COMPLETIONS_MAX]

    return offer


def parked_postings(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of the parked postings."""
    del param
    return offered(_look(ctx, lambda box: [str(one.id) for one in box.parked()]), incomplete)


def _described(key: UUID, body: Body) -> CompletionItem:
    reference = f" {body.reference}" if isinstance(body.reference, str) else ""
    return CompletionItem(str(key), help=printable(f"{body.type}{reference} {body.occurred_at:%Y-%m-%d %H:%M}"))


def _lines(body: Body) -> list[Line]:
    return body.lines if isinstance(body.lines, list) else []


def _latest(ctx: click.Context) -> list[tuple[UUID, Body]]:
    stored = _look(ctx, lambda box: box.latest(POSTINGS_LOOKED_AT_MAX))
    return [(key, body) for key, raw in stored if (body := readable_body(raw)) is not None]


def _look(ctx: click.Context, question: Callable[[Outbox], list[T]]) -> list[T]:
    """What `question` finds in the outbox that the command line names; nothing where there is no usable one."""
    path = ctx.params.get("outbox")
    if not isinstance(path, Path):
        return []
    try:
        box = open_outbox(path)
        try:
            return question(box)
        finally:
            box.close()
    except TillwireError:  # a shell that completes has no place for an error: the command itself will say it
        return []
