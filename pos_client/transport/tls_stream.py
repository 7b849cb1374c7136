"""The client's byte stream inside TLS, and connecting with or without it."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pos_client.protocol.address import Address
from pos_client.transport.limits import READ_BYTES
from pos_client.transport.stream import ClientStream

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How a client encrypts.

    `authority`: the PEM file with the only authority that it trusts; None: the system's. `certificate` and `key`: the
    PEM files with which it proves itself, where the server demands that.
    """

    authority: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None


Tls = bool | str | Path | ClientTls
"""Whether to encrypt: False, True (the system's certificate authorities are trusted), the path of a PEM file with the
only authority that is, or a ClientTls."""
_REFUSALS = frozenset(
    (
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_DECRYPT_ERROR",
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",  # TLS 1.2: no certificate
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    )
)
"""What OpenSSL says where the server has refused the client's certificate, or that it has none."""


def tls_refusal(error: BaseException) -> str | None:
    """Why the server has refused the client in TLS, in OpenSSL's words; None for any other error.

    In TLS 1.3 the client's handshake ends before the server has looked: it hears of a refusal when it first reads.
    """
    if not isinstance(error, ssl.SSLError) or error.reason not in _REFUSALS:
        return None
    return error.reason.partition("ALERT_")[2].lower().replace("_", " ")


def connect_stream(address: Address, timeout_seconds: float, unacknowledged_seconds: float, tls: Tls) -> ClientStream:
    """As `ClientStream.connect`, the handshake included where `tls` asks for it; OSError where the CA file is bad."""
    if tls is False:
        return ClientStream.connect(address, timeout_seconds, unacknowledged_seconds)
    deadline = time.monotonic() + timeout_seconds
    context = _context(tls)
    return TlsClientStream.wrap(
        ClientStream.connect(address, timeout_seconds, unacknowledged_seconds), context, address, deadline
    )


class TlsClientStream(ClientStream):
    """A TCP socket inside TLS 1.2 or later, whose server has proved its name. Deadlines are those of ClientStream."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        super().__init__(sock)
        self._tls = sock
        self._reading, self._writing = _selector(sock, selectors.EVENT_READ), _selector(sock, selectors.EVENT_WRITE)
        # What `is_closed_by_server` has found although nothing was expected.
        self._early = b""
        self._refusal: OSError | None = None

    @classmethod
    def wrap(cls, plain: ClientStream, context: ssl.SSLContext, address: Address, deadline: float) -> TlsClientStream:
        """The stream inside the TLS of `plain`, which is used no more; the handshake ends before `deadline`."""
        try:
            tls = context.wrap_socket(
                plain.detach(), server_hostname=address.host or "localhost", do_handshake_on_connect=False
            )
        except BaseException:
            plain.close()
            raise
        stream = cls(tls)
        try:
            tls.setblocking(False)
            stream._until(deadline, tls.do_handshake)
        except BaseException:
            stream.close()
            raise
        return stream

    def shown_certificate(self) -> bytes:
        """The certificate that the server has shown (DER)."""
        return self._tls.getpeercert(binary_form=True) or b""

    def write(self, data: bytes, deadline: float) -> None:
        """Encrypt and send all of `data`."""
        if self._refusal is not None:
            raise self._refusal
        rest = memoryview(data)
        while rest:
            sent = self._until(deadline, lambda rest=rest: self._tls.send(rest))  # type: ignore[misc]
            rest = rest[sent:]

    def read(self, deadline: float) -> bytes:
        """What has arrived, decrypted: at least one byte; none at the end of the stream."""
        early, self._early = self._early, b""
        return early or self._until(deadline, lambda: self._tls.recv(READ_BYTES))

    def is_closed_by_server(self) -> bool:
        """True where the server has closed, or the stream is lost, while nothing was expected; does not wait."""
        try:
            found = self._tls.recv(1)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            if tls_refusal(error) is None:
                return True
            self._refusal = error  # for the next request, which hears why
            return False
        self._early += found
        return not found

    def shutdown(self) -> None:
        """Make an operation that waits in another thread fail now, without touching TLS, which that thread uses."""
        with contextlib.suppress(OSError):  # closed or lost already
            socket.socket.shutdown(self._tls, socket.SHUT_RDWR)

    def _until(self, deadline: float, step: Callable[[], T]) -> T:
        """The result of `step`, tried whenever the socket is ready for it; TimeoutError past `deadline`."""
        while True:
            left = deadline - time.monotonic()
            try:
                return step()
            except ssl.SSLWantReadError:
                self._await(self._reading, left)
            except ssl.SSLWantWriteError:
                self._await(self._writing, left)

    def _await(self, selector: selectors.BaseSelector, left: float) -> None:
        if left <= 0 or not selector.select(left):
            raise TimeoutError("no answer within the deadline")


def _selector(sock: socket.socket, event: int) -> selectors.BaseSelector:
    """What waits for one event of a socket, on any platform; it opens no descriptor where there is poll."""
    kind = selectors.PollSelector if hasattr(selectors, "PollSelector") else selectors.SelectSelector
    selector = kind()
    selector.register(sock, event)
    return selector


def _context(tls: Tls) -> ssl.SSLContext:
    wanted = tls if isinstance(tls, ClientTls) else ClientTls(None if isinstance(tls, bool) else tls)
    authority = wanted.authority
    try:
        context = ssl.create_default_context(cafile=None if authority is None else str(authority))
    except ssl.SSLError as error:
        raise OSError(f"{authority} holds no certificate of an authority in PEM") from error
    except OSError as error:
        raise OSError(f"the authority's certificate {authority} cannot be read: {error.strerror or error}") from error
    _check_strictly(context, is_own=authority is not None)
    if wanted.certificate is not None:
        _prove(context, wanted.certificate, wanted.key)
    return context


def authority_context(authority: str) -> ssl.SSLContext:
    """What trusts the certificate `authority` (PEM) alone; OSError where it is none."""
    try:
        context = ssl.create_default_context(cadata=authority)
    except ValueError as error:
        raise OSError(f"what HQ calls its authority is no certificate ({error})") from error
    _check_strictly(context, is_own=True)
    return context


def _check_strictly(context: ssl.SSLContext, is_own: bool) -> None:
    """Check as RFC 5280 demands; an authority of `is_own` choice is trusted even if another one is above it."""
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default since Python 3.13
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if is_own:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _prove(context: ssl.SSLContext, certificate: str | Path, key: str | Path | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:  # an SSLError, too
        files = f"{certificate} and {key}" if key is not None else str(certificate)
        raise OSError(f"the client's certificate {files} cannot be used: {error.strerror or error}") from error
