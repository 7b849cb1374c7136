"""When a server's certificate ends, as its clients see it."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from inventory_server.jsonserver.listener import CannotListen

OPENSSL = ssl.OPENSSL_VERSION_INFO
"""The version of OpenSSL: major, minor, fix, patch, status; the patch is the third number of version 3."""
_ANY_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME, for which Python has no name
_FLIGHTS = 4
"""More than a handshake has in either direction."""


def certificate_end(context: ssl.SSLContext, certificate: Path) -> float:
    """When `certificate`, which `context` serves, ends: seconds since 1970. CannotListen if no client would accept it.

    Only OpenSSL reads certificates in Python: a client in this process is shown it, and trusts all that is in the file.
    """
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _ANY_TIME
    trusting.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        for _ in range(_FLIGHTS):
            for side in (client, server):
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
    except ssl.SSLError as error:
        raise CannotListen(f"No client accepts {certificate}: {error.reason}; make another certificate.") from error
    shown = client.getpeercert()
    assert shown is not None, "the handshake is over"
    return ssl.cert_time_to_seconds(str(shown["notAfter"]))
