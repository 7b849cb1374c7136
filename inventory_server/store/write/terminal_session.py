"""Terminal sessions: hello (authentication, epoch, lineage), ping and bye."""

from __future__ import annotations

import hmac

from msgspec import UnsetType

from inventory_server.domain.lineage import FIRST_HEAD, Lineage, Said, disagreements, missing
from inventory_server.domain.requests import Bye, Hello, Ping, Welcome
from inventory_server.domain.roles import Speaker
from inventory_server.store.ledger.access import _revoked, token_hash
from inventory_server.store.ledger.records import Terminal
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import ByeParams, ByeResult, OutboxReport, Totals
from pos_client.protocol.units import QUANTITY_PLACES, TOTAL_MAX, micros, scaled, unscaled


def hello(working_set: WorkingSet, said: Hello) -> Welcome:
    """Authenticate a terminal and raise a till's epoch, which fences its older connections."""
    known = working_set.terminals.get(said.terminal)
    if known is None and said.enrol is not None:
        known = _enrolled(said.terminal, said.enrol, working_set.now)
    _authenticate(known, said)
    assert known is not None
    if said.terminal not in working_set.terminals:
        working_set.terminals[said.terminal] = known
        working_set.know_location(known.location)
    if known.role == "till":
        known.epoch += 1
        known.closed_at = None
    lineage = Lineage()
    if said.lineage is not None:
        known.lineage = said.lineage.bytes
        lineage = working_set.lineages[said.terminal, known.lineage]
    _note_contact(working_set, known, said.outbox, None if said.now is None else micros(said.now))
    speaker = Speaker(known.terminal, known.role, known.location, known.epoch, said.lineage, said.source)  # type: ignore[arg-type]
    return Welcome(speaker, known.head.hex(), lineage.acked_seq)


def ping(working_set: WorkingSet, said: Ping) -> None:
    """Note that the terminal is alive, unless the connection is fenced."""
    known = known_terminal(working_set, said.actor)
    if known.epoch == said.actor.epoch:
        _note_contact(working_set, known, said.outbox, None if said.now is None else micros(said.now))


def bye(working_set: WorkingSet, goodbye: Bye) -> ByeResult:
    """Compare the control totals of a lineage; close a till's day when they balance."""
    known, totals = known_terminal(working_set, goodbye.actor), goodbye.totals
    lineage_id = goodbye.actor.lineage if isinstance(totals.lineage, UnsetType) else totals.lineage
    said = _said(totals, working_set.now)
    is_current = known.epoch == goodbye.actor.epoch
    if is_current:
        _note_goodbye(working_set, known, totals)
    if lineage_id is None or (said.last_seq, said.count, said.quantity) == (None, None, None):
        return ByeResult("closed", [])
    key = (known.terminal, lineage_id.bytes)
    working_set.read_lineages({key})
    held = working_set.lineages[key]
    held.said = said
    lacking = missing(held, held.last_seq if said.last_seq is None else said.last_seq)
    balanced = not lacking and not disagreements(held, said)
    if balanced and is_current and not known.pending:
        known.closed_at = working_set.now
    working_set.changed_lineages.add(key)
    expected = Totals(held.last_seq, held.count, unscaled(held.quantity))
    return ByeResult("balanced" if balanced else "mismatch", lacking, expected)


def _note_goodbye(working_set: WorkingSet, known: Terminal, totals: ByeParams) -> None:
    """Note contact and the reported state of the outbox."""
    _note_contact(working_set, known, None, None)
    if not isinstance(totals.pending, UnsetType):
        known.pending = totals.pending
    if not isinstance(totals.dead, UnsetType):
        known.dead = totals.dead


def _said(totals: ByeParams, now: int) -> Said:
    quantity: int | None = None
    if not isinstance(totals.quantity, UnsetType):
        try:
            quantity = scaled(totals.quantity, TOTAL_MAX)
        except ValueError as error:
            raise RequestError(
                ErrorCode.invalid_params,
                "The control total is not a sum of quantities.",
                path="$.quantity",
                expected=f"an exact number with at most {QUANTITY_PLACES} decimals",
                came=str(totals.quantity)[:40],
            ) from error
    return Said(
        now,
        None if isinstance(totals.last_seq, UnsetType) else totals.last_seq,
        None if isinstance(totals.count, UnsetType) else totals.count,
        quantity,
    )


def known_terminal(working_set: WorkingSet, speaker: Speaker) -> Terminal:
    """The terminal of a connection; RequestError if it has been revoked since its hello."""
    known = working_set.terminals.get(speaker.terminal)
    if known is None or known.revoked_at is not None:
        raise _revoked(speaker)
    return known


def _enrolled(name: str, location: str, now: int) -> Terminal:
    return Terminal(name, "till", location, None, now, None, 0, FIRST_HEAD, None, None, None, 0, 0, None, None)


def _authenticate(known: Terminal | None, hello: Hello) -> None:
    if known is not None and known.revoked_at is None:
        if hello.trusted:
            return
        if known.token_hash and hello.token and hmac.compare_digest(known.token_hash, token_hash(hello.token)):
            return
    raise RequestError(
        ErrorCode.unauthenticated,
        f"Terminal {hello.terminal} is not enrolled with this token; ask HQ for one (inventory-server terminal add).",
    )


def _note_contact(working_set: WorkingSet, known: Terminal, outbox: OutboxReport | None, now: int | None) -> None:
    known.contact_at = working_set.now
    known.told_at = working_set.now if now is None else min(now, working_set.now)
    if outbox is not None:
        oldest = outbox.oldest_occurred_at
        known.pending, known.dead = outbox.pending, outbox.dead
        known.oldest_pending_at = None if oldest is None else micros(oldest)
    working_set.changed_terminals.add(known.terminal)
