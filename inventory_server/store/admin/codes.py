"""One-time codes with which terminals enrol."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select, update

from inventory_server.domain.answers import Redeemed, ValidCode
from inventory_server.domain.changes import EnrolmentCode, RedeemCode
from inventory_server.domain.limits import CODE_TRIES_MAX
from inventory_server.store.database.base import StoreError
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.access import token_hash
from pos_client.protocol.enrolment import is_proof
from pos_client.protocol.limits import CODES_MAX

_code = t.enrolment.c


def set_code(connection: Connection, terminal: str, code: EnrolmentCode | None, now: int) -> None:
    """Have `code` be the only one of a terminal, None: it has none; StoreError if too many wait already."""
    connection.execute(delete(t.enrolment).where((_code.terminal == terminal) | (_code.expires_at <= now)))
    if code is None:
        return
    if connection.execute(select(func.count()).select_from(t.enrolment)).scalar_one() >= CODES_MAX:
        raise StoreError(f"{CODES_MAX} codes wait to be used: have some tills enrol first, or wait until codes expire.")
    connection.execute(
        insert(t.enrolment).values(
            terminal=terminal, salt=code.salt, code_key=code.key, expires_at=code.expires_at, wrong_tries=0
        )
    )


def valid_codes(connection: Connection, now: int) -> list[ValidCode]:
    """The codes that may be used now; `set_code` bounds their number."""
    usable = (_code.expires_at > now, _code.wrong_tries < CODE_TRIES_MAX)
    rows = connection.execute(select(_code.terminal, _code.salt, _code.code_key).where(*usable).order_by(_code.salt))
    return [ValidCode(*row) for row in rows]


def redeem_code(connection: Connection, change: RedeemCode, now: int) -> Redeemed:
    """Make the token that of the terminal if the proof is right, and forget the code; else count a wrong try."""
    named = (_code.terminal == change.terminal, _code.salt == change.salt)
    row = connection.execute(select(t.enrolment).where(*named)).first()
    if row is None or row.expires_at <= now or row.wrong_tries >= CODE_TRIES_MAX:
        return Redeemed(change.terminal, refused="the code is used, expired or locked")
    if not is_proof(change.proof, row.code_key, "till", change.said):
        connection.execute(update(t.enrolment).where(*named).values(wrong_tries=_code.wrong_tries + 1))
        return Redeemed(change.terminal, refused="the code is wrong")
    connection.execute(delete(t.enrolment).where(*named))
    c = t.terminal.c
    mine = c.terminal == change.terminal
    token = token_hash(change.token)
    connection.execute(update(t.terminal).where(mine).values(token_hash=token, epoch=c.epoch + 1))
    known = connection.execute(select(c.role, c.location).where(mine)).one()
    return Redeemed(change.terminal, known.role, known.location)
