"""The log of a session: what an operator needs to know of a terminal, at INFO, and every request at DEBUG.

No secret and no posting body is logged; text from a client is escaped.
"""

from __future__ import annotations

import logging

from inventory_server.config import LOGGED_REASON_LENGTH_MAX
from inventory_server.domain.roles import Actor, Speaker
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.limits import METHOD_LENGTH_MAX
from pos_client.protocol.messages import HelloParams, PostResult, Request
from pos_client.protocol.printable import printable

log = logging.getLogger("tillwire.session")


def note_request(request: Request, actor: Actor | None, peer: str, outcome: str) -> None:
    """Log one request and the name of its outcome."""
    if log.isEnabledFor(logging.DEBUG):
        name = actor.name if actor else "-"
        method = printable(request.method, METHOD_LENGTH_MAX)
        log.debug("event=request method=%s actor=%s peer=%s outcome=%s", method, name, peer, outcome)


def note_success(actor: Actor | None, params: object, result: object, peer: str) -> None:
    """Log a successful hello, and postings that were rejected or in conflict."""
    if isinstance(result, PostResult):
        _note_not_posted(actor, result, peer)
    elif isinstance(params, HelloParams) and isinstance(actor, Speaker):
        log.info(
            "event=terminal_connected terminal=%s role=%s location=%s peer=%s epoch=%d",
            *(actor.terminal, actor.role, printable(actor.location), peer, actor.epoch),
        )


def _note_not_posted(actor: Actor | None, result: PostResult, peer: str) -> None:
    """One log line per frame, with the first refused posting as an example."""
    refused = [each for each in result.results if each.status in ("rejected", "conflict")]
    if refused:
        first = refused[0]
        log.info(
            "event=postings_refused terminal=%s peer=%s count=%d id=%s status=%s reason=%s",
            *(actor.name if actor else "-", peer, len(refused), first.id, first.status),
            printable(str(first.reason), LOGGED_REASON_LENGTH_MAX),
        )


def note_refusal(method: str, actor: Actor | None, params: object, error: RequestError, peer: str) -> None:
    """Log a hello that was refused, with its reason, and a connection that another one has fenced."""
    if method == "hello":
        terminal = params.terminal if isinstance(params, HelloParams) else "-"
        reason = printable(str(error), LOGGED_REASON_LENGTH_MAX)
        log.info("event=hello_refused terminal=%s peer=%s reason=%s", terminal, peer, reason)
    elif error.code is ErrorCode.fenced:
        log.info("event=terminal_fenced terminal=%s peer=%s", actor.name if actor else "-", peer)


def note_end(actor: Actor | None, peer: str, reason: str) -> None:
    """Log that the connection of a terminal has ended, and why."""
    if isinstance(actor, Speaker):
        log.info("event=terminal_disconnected terminal=%s peer=%s reason=%s", actor.terminal, peer, reason)
