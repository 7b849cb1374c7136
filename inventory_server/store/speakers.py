"""Who speaks, and what tills say of themselves: hello, ping, bye."""

from __future__ import annotations

import hashlib
import hmac

from msgspec import UnsetType

from inventory_server.lineage import FIRST_HEAD, Lineage, missing
from inventory_server.store.batch import Batch, Terminal
from inventory_server.work import Bye, Hello, Ping, Speaker, Welcome
from pos_client.errors import ErrorCode, RequestError
from pos_client.exact import micros, unscaled
from pos_client.messages import ByeResult, OutboxReport, Totals


def token_hash(token: str) -> bytes:
    """What is stored of a terminal's token: it is random and long, so one round of SHA-256 is enough."""
    return hashlib.sha256(token.encode()).digest()


def hello(batch: Batch, said: Hello) -> Welcome:
    """Settle who speaks, and raise a till\'s epoch so that its older connections are fenced."""
    known = batch.terminals.get(said.terminal)
    if known is None and said.enrol is not None:
        known = _enrolled(said.terminal, said.enrol, batch.now)
        batch.terminals[said.terminal] = known
        batch.add_location(known.location)
    _authenticate(known, said)
    assert known is not None
    if known.role == "till":
        known.epoch += 1
        known.closed_at = None
    lineage = Lineage()
    if said.lineage is not None:
        known.lineage = said.lineage.bytes
        lineage = batch.lineages[said.terminal, known.lineage]
    _note_contact(batch, known, said.outbox, None if said.now is None else micros(said.now))
    speaker = Speaker(known.terminal, known.role, known.location, known.epoch, said.lineage)  # type: ignore[arg-type]
    return Welcome(speaker, known.head.hex(), lineage.acked_seq)


def ping(batch: Batch, said: Ping) -> None:
    """Note a sign of life; a fenced connection has none to give."""
    known = known_terminal(batch, said.speaker)
    if known.epoch == said.speaker.epoch:
        _note_contact(batch, known, said.outbox, None if said.now is None else micros(said.now))


def bye(batch: Batch, said: Bye) -> ByeResult:
    """Compare the control totals of a lineage; close a till\'s day when they balance."""
    known, totals = known_terminal(batch, said.speaker), said.totals
    lineage_id = said.speaker.lineage if isinstance(totals.lineage, UnsetType) else totals.lineage
    figures = (totals.last_seq, totals.count, totals.quantity)
    if lineage_id is None or all(isinstance(total, UnsetType) for total in figures):
        return ByeResult("closed", [])
    batch.read_lineages({(known.terminal, lineage_id.bytes)} - batch.lineages.keys())
    held = batch.lineages[known.terminal, lineage_id.bytes]
    expected = Totals(held.last_seq, held.count, unscaled(held.quantity))
    lacking = missing(held, held.last_seq if isinstance(totals.last_seq, UnsetType) else totals.last_seq)
    agreed = all(
        isinstance(total, UnsetType) or total == wanted
        for total, wanted in zip(figures, (expected.last_seq, expected.count, expected.quantity), strict=True)
    )
    balanced = agreed and not lacking
    if not isinstance(totals.pending, UnsetType):
        known.pending = totals.pending
    if balanced and not known.pending and known.epoch == said.speaker.epoch:
        known.closed_at = batch.now
    batch.changed_terminals.add(known.terminal)
    return ByeResult("balanced" if balanced else "mismatch", lacking, expected)


def known_terminal(batch: Batch, speaker: Speaker) -> Terminal:
    """The terminal that speaks; RequestError where it has been revoked since its hello."""
    known = batch.terminals.get(speaker.terminal)
    if known is None or known.revoked_at is not None:
        raise RequestError(ErrorCode.forbidden, f"Terminal {speaker.terminal} has been revoked; ask HQ.")
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


def _note_contact(batch: Batch, known: Terminal, outbox: OutboxReport | None, now: int | None) -> None:
    known.contact_at = batch.now
    known.told_at = batch.now if now is None else min(now, batch.now)
    if outbox is not None:
        oldest = outbox.oldest_occurred_at
        known.pending, known.dead = outbox.pending, outbox.dead
        known.oldest_pending_at = None if oldest is None else micros(oldest)
    batch.changed_terminals.add(known.terminal)
