"""TLS on the server's and the client's side: who may do without, and what goes wrong with handshakes and files."""

import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from inventory_server.app import Application
from inventory_server.config import Settings
from inventory_server.jsonserver import CannotListen, JsonHandler, Peer, ServerFactory, ServerTls
from pos_client import Connection, ConnectionLost, JsonClient, PosClient, request_once
from tests.support.edge import MemoryStore
from tests.support.lines import ANYWHERE, SOON, connect, listens_on
from tests.support.waiting import HANG_SECONDS, wait_until
from tests.support.wires import AUTHORITY, CERTIFICATES, RawClient, server_tls

HELLO_BEGUN = b"\x16\x03\x01\x02\x00\x01"


class Echo(JsonHandler):
    def handle_message(self, message: Any) -> Any:
        return {"echo": message}


@pytest.fixture
def server() -> Iterator[ServerFactory]:
    """Speaks TLS only, and wants the handshake soon."""
    with ServerFactory(Echo, "127.0.0.1:0", tls=server_tls(), handshake_seconds=SOON, linger_seconds=0.1) as server:
        yield server


def test_tls_1_3_is_spoken_and_1_2_if_need_be_but_no_less(server: ServerFactory) -> None:
    context = ssl.create_default_context(cafile=str(AUTHORITY))
    for newest, spoken in ((ssl.TLSVersion.MAXIMUM_SUPPORTED, "TLSv1.3"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2")):
        context.maximum_version = newest
        plain = socket.create_connection(server.addresses[0], HANG_SECONDS)  # type: ignore[arg-type]
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            assert client.version() == spoken
    assert server_tls().context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("sent", "reason", "cause"),
    [
        (b"", "timed_out", "nothing received in time"),
        (HELLO_BEGUN, "timed_out", "no TLS handshake in time"),
        (b"\x16" + b"nonsense" * 100, "handshake_failed", ""),
    ],
)
def test_a_handshake_that_fails_or_never_ends_ends_the_connection_only(
    server: ServerFactory, caplog: pytest.LogCaptureFixture, sent: bytes, reason: str, cause: str
) -> None:
    caplog.set_level(logging.DEBUG, "tillwire.connection")
    with JsonClient(server.addresses[0], tls=AUTHORITY) as other, connect(server) as client:
        client.send(sent)
        wait_until(lambda: f"reason={reason}" in caplog.text)
        assert cause in caplog.text
        assert other.request(1) == {"echo": 1}
        wait_until(lambda: server.connections == 1)


def test_plain_text_is_refused_unless_its_network_may_do_without(server: ServerFactory) -> None:
    with connect(server) as client:
        client.send(b"1\n")
        assert client.read_line() == b'{"error": "this server speaks TLS only: connect with TLS"}'
        assert client.read_line() == b""
    with (
        ServerFactory(Echo, "127.0.0.1:0", tls=server_tls("127.0.0.0/8")) as open_server,
        connect(open_server) as client,
        RawClient(listens_on(open_server), tls=True) as encrypted,
    ):
        assert client.ask(b"1") == encrypted.ask(b"1") == {"echo": 1}


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["127.0.0.0/8"], "127.0.0.1:1", True),
        (["127.0.0.0/8"], "[::ffff:127.0.0.1]:1", True),
        (["127.0.0.0/8"], "192.0.2.1:1", False),
        (["10.0.0.0/8", "fd00::/8"], "[fd00::1]:1", True),
        (["10.0.0.0/8", "fd00::/8"], "[fe80::1%eth0]:1", False),
        ([], "127.0.0.1:1", False),
        ([], "unix:/run/hq.sock", True),
    ],
)
def test_the_networks_without_tls_are_told(networks: list[str], address: str, allowed: bool) -> None:
    assert server_tls(*networks).allows_plaintext(Peer(address, loopback=False)) is allowed


def test_loopback_may_do_without_tls_unless_told_otherwise() -> None:
    tls = ServerTls(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    assert [tls.allows_plaintext(Peer(each, True)) for each in ("127.0.0.1:1", "[::1]:1", "192.0.2.1:1")] == [
        True,
        True,
        False,
    ]
    with pytest.raises(ValueError, match="everywhere"):
        ServerTls(CERTIFICATES / "server.pem", CERTIFICATES / "server.key", ["everywhere"])


@pytest.mark.parametrize(
    ("certificate", "key", "complaint"),
    [
        ("missing.pem", "server.key", r"missing\.pem is no file; name a PEM file"),
        ("server.pem", "missing.key", r"missing\.key is no file; name a PEM file"),
        ("README", "server.key", r"Cannot serve TLS with .*README and .*server\.key: "),
        ("ca.pem", "server.key", r"Cannot serve TLS with .*ca\.pem and .*server\.key: .*mismatch"),
    ],
)
def test_files_that_cannot_be_used_are_named(certificate: str, key: str, complaint: str) -> None:
    with pytest.raises(CannotListen, match=complaint):
        ServerTls(CERTIFICATES / certificate, CERTIFICATES / key)


# ---------------------------------------------------------------------------------- the client


def test_each_client_may_encrypt(server: ServerFactory, tmp_path: Path) -> None:
    assert request_once(server.addresses[0], {"a": 1}, tls=AUTHORITY) == {"echo": {"a": 1}}
    application = Application(Settings(), MemoryStore(), [ANYWHERE], dev=True, tls=server_tls())
    application.start()
    address = application.addresses[0]
    with closing(Connection.open(address, tls=AUTHORITY)) as connection:
        assert connection.request("ping") is not None
        assert not connection.is_dropped()
        outbox = tmp_path / "till.db"
        with PosClient(str(address), terminal="till-1", location="store", outbox=outbox, tls=AUTHORITY) as client:
            assert client.sell([("a", 1)]).wait(HANG_SECONDS).status == "posted"
        assert application.stop() == 0
        wait_until(connection.is_dropped)


@pytest.mark.parametrize(
    ("tls", "complaint"),
    [
        (True, "certificate verify failed"),
        (CERTIFICATES / "missing.pem", r"the authority's certificate .*missing\.pem cannot be read: No such file"),
        (CERTIFICATES / "README", "README holds no certificate of an authority in PEM"),
    ],
)
def test_a_server_that_cannot_be_verified_is_not_talked_to(server: ServerFactory, tls: Any, complaint: str) -> None:
    with pytest.raises(ConnectionLost, match=complaint):
        JsonClient(server.addresses[0], tls=tls).connect()


def test_a_server_must_prove_its_name() -> None:
    with (
        ServerFactory(Echo, "127.0.0.2:0", tls=server_tls()) as server,
        pytest.raises(ConnectionLost, match="IP address mismatch"),
    ):
        JsonClient(server.addresses[0], tls=AUTHORITY).connect()


def test_a_server_that_does_not_answer_the_handshake_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = JsonClient(silent.getsockname(), tls=AUTHORITY, connect_timeout=SOON)
        with pytest.raises(ConnectionLost, match="no answer within the deadline"):
            client.connect()


def test_a_server_without_tls_is_not_talked_to() -> None:
    with (
        ServerFactory(Echo, "127.0.0.1:0", linger_seconds=0.1) as server,
        pytest.raises(ConnectionLost, match="cannot be reached"),
    ):
        JsonClient(server.addresses[0], tls=AUTHORITY).connect()


def test_a_reply_that_does_not_come_in_time_leaves_the_connection_open(server: ServerFactory) -> None:
    with JsonClient(server.addresses[0], tls=AUTHORITY) as client:
        with pytest.raises(TimeoutError):
            client.read_obj(timeout=0.01)
        assert client.request(1) == {"echo": 1}
