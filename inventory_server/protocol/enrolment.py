"""The methods with which a till enrols by a one-time code: HQ proves first that it knows the code, then the till does.

Nobody who listens, or who pretends to be HQ, learns anything from which the code could be found in time.
"""

from __future__ import annotations

from inventory_server.config import TOKEN_BYTES
from inventory_server.domain.answers import Redeemed, ValidCode
from inventory_server.domain.requests import ListCodes, RedeemCode, StoreRequest
from inventory_server.domain.roles import User
from inventory_server.jsonserver import ShownCertificate
from inventory_server.protocol.binding import EnrolmentState, MethodBinding, SessionContext
from pos_client.protocol.enrolment import (
    EnrolBeginParams,
    EnrolBeginResult,
    EnrolFinishParams,
    EnrolFinishResult,
    EnrolmentOffer,
    proof,
    transcript,
)
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.limits import NONCE_BYTES


def _begin(talk: SessionContext, params: EnrolBeginParams) -> StoreRequest:
    nonce = _random_hex(talk, NONCE_BYTES)
    talk.enrolment = EnrolmentState(nonce, {}, transcript(params.nonce, nonce, _shown(talk).sha256))
    return ListCodes(actor=_stranger(talk))


def _offers(talk: SessionContext, codes: list[ValidCode]) -> EnrolBeginResult:
    state = talk.enrolment
    assert state is not None, "it was set before the codes were asked for"
    state.terminals.update((code.salt, code.terminal) for code in codes)
    offers = [EnrolmentOffer(code.salt.hex(), proof(code.key, "hq", state.said)) for code in codes]
    return EnrolBeginResult(state.nonce, offers, _shown(talk).authority)


def _finish(talk: SessionContext, params: EnrolFinishParams) -> StoreRequest:
    state, talk.enrolment = talk.enrolment, None  # one try a connection
    salt = bytes.fromhex(params.salt)
    terminal = None if state is None else state.terminals.get(salt)
    if state is None or terminal is None:
        message = "Nothing was offered with this salt: call enrol_begin first, on this connection."
        raise RequestError(ErrorCode.unauthenticated, message, expected="enrol_begin")
    token = _random_hex(talk, TOKEN_BYTES)
    talk.issued = token
    return RedeemCode(terminal, salt, params.proof, state.said, token, actor=_stranger(talk))


def _enrolled(talk: SessionContext, redeemed: Redeemed) -> EnrolFinishResult:
    talk.closing = True
    if redeemed.refused is not None:
        message = (
            f"Terminal {redeemed.terminal} was not enrolled: {redeemed.refused}. Type the code again, or ask the "
            f"operator for a new one: inventory-server terminal rotate {redeemed.terminal} --code"
        )
        raise RequestError(ErrorCode.unauthenticated, message)
    return EnrolFinishResult(redeemed.terminal, redeemed.role, redeemed.location, talk.issued)  # type: ignore[arg-type]


def _shown(talk: SessionContext) -> ShownCertificate:
    if talk.shown is None:
        message = "A code is for connections with TLS: connect with TLS, or have the operator hand out a token."
        raise RequestError(ErrorCode.forbidden, message)
    return talk.shown


def _random_hex(talk: SessionContext, size: int) -> str:
    assert talk.random_bytes is not None, "a server that has TLS has given it"
    return talk.random_bytes(size).hex()


def _stranger(talk: SessionContext) -> User:
    return User("a till that enrols", "nobody", talk.peer)


ENROLMENT: dict[str, MethodBinding] = {
    "enrol_begin": MethodBinding(ListCodes, _begin, _offers),
    "enrol_finish": MethodBinding(RedeemCode, _finish, _enrolled),
}
"""The methods of a client that has no token yet."""
