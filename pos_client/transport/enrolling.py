"""Enrolling a till with a one-time code: the client's side, over a connection to an HQ that has yet to prove itself."""

from __future__ import annotations

import hashlib
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from pos_client.protocol.address import Address
from pos_client.protocol.enrolment import (
    EnrolBeginParams,
    EnrolBeginResult,
    EnrolFinishParams,
    EnrolFinishResult,
    code_key,
    is_proof,
    proof,
    transcript,
)
from pos_client.protocol.errors import ConnectionLost, TillwireError
from pos_client.protocol.limits import ENROL_SECONDS, NONCE_BYTES
from pos_client.transport.connection import Connection
from pos_client.transport.limits import REPLY_SECONDS
from pos_client.transport.stream import ClientStream
from pos_client.transport.tls_stream import TlsClientStream, authority_context


class NotEnrolled(TillwireError):
    """The till was not enrolled; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who the till is now, its token, and the certificate of the authority that it trusts from now on (PEM)."""

    terminal: str
    role: str
    location: str
    token: str
    authority: str


def enrol(
    address: Address,
    code: str,
    prepare: Callable[[str], None],
    timeout_seconds: float = ENROL_SECONDS,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> Enrolment:
    """Enrol with HQ at `address` by `code`; NotEnrolled, ConnectionLost or RequestError if that fails.

    HQ proves first that it knows the code, on the very connection whose certificate the proof names; before that it is
    told nothing but a random number. `prepare` is called with HQ's authority before the code is used: what it raises
    leaves the code valid.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        stream = _unverified(address, deadline)
    except OSError as error:
        raise ConnectionLost(f"HQ at {address} cannot be reached with TLS: {error.strerror or error}.") from error
    connection = Connection(stream, address)
    try:
        return _enrol(connection, stream.shown_certificate(), code, prepare, deadline, random_bytes)
    finally:
        connection.close()


def _enrol(
    connection: Connection,
    certificate: bytes,
    code: str,
    prepare: Callable[[str], None],
    deadline: float,
    random_bytes: Callable[[int], bytes],
) -> Enrolment:
    nonce = random_bytes(NONCE_BYTES).hex()
    begun: EnrolBeginResult = connection.request("enrol_begin", EnrolBeginParams(nonce), _left(deadline))
    said = transcript(nonce, begun.nonce, hashlib.sha256(certificate).digest())
    for offer in begun.offers:
        key = code_key(code, bytes.fromhex(offer.salt))
        if is_proof(offer.proof, key, "hq", said):
            break
    else:
        raise NotEnrolled(
            f"HQ at {connection.address} does not know this code: type it again; it is valid for 15 minutes, once. "
            "If it is right, something between this till and HQ pretends to be HQ: call the operator."
        )
    _assert_trusted(connection.address, begun.authority, deadline)
    prepare(begun.authority)
    answer = EnrolFinishParams(offer.salt, proof(key, "till", said))
    done: EnrolFinishResult = connection.request("enrol_finish", answer, _left(deadline))
    return Enrolment(done.terminal, done.role, done.location, done.token, begun.authority)


def _unverified(address: Address, deadline: float) -> TlsClientStream:
    """A connection to whoever answers: its proof of the code comes later, and names this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return _connected(address, context, deadline)


def _assert_trusted(address: Address, authority: str, deadline: float) -> None:
    """NotEnrolled if the till could not connect with `authority` afterwards: the code is still good then."""
    try:
        _connected(address, authority_context(authority), deadline).close()
    except OSError as error:
        reason = getattr(error, "verify_message", None) or error.strerror or error
        raise NotEnrolled(
            f"HQ at {address} knows the code, but its certificate cannot be trusted: {reason}. The code is still "
            "valid. Use an address that is in the certificate, or have the operator make one for this address."
        ) from error


def _connected(address: Address, context: ssl.SSLContext, deadline: float) -> TlsClientStream:
    plain = ClientStream.connect(address, _left(deadline), REPLY_SECONDS)
    return TlsClientStream.wrap(plain, context, address, deadline)


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
