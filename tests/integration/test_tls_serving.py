"""TLS of headquarters: who may listen without, clients that must prove themselves, renewal, and the commands."""

from __future__ import annotations

import hashlib
import logging
import os
import select
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from inventory_server.app import Application
from inventory_server.clock import now_microseconds
from inventory_server.commands.serve import check_before_serving
from inventory_server.commands.tls_options import TlsFiles, renew
from inventory_server.config import Settings
from inventory_server.jsonserver import LOOPBACK_NETWORKS, ServerTls
from inventory_server.store import open_reader
from pos_client import ClientTls, Connection, ConnectionLost, HqRefused, PosClient
from pos_client.commands.console import CommandError
from pos_client.protocol.address import Address
from tests.support.authorities import Files, certified
from tests.support.commands import Shell
from tests.support.edge import MemoryStore
from tests.support.ledgers import new_ledger
from tests.support.lines import ANYWHERE
from tests.support.processes import Server
from tests.support.waiting import HANG_SECONDS, wait_until

NOWHERE = "192.0.2.0/24"
"""A network that nobody is in: all must encrypt."""


@contextmanager
def headquarters(tls: ServerTls, dev: bool = True) -> Iterator[Address]:
    application = Application(Settings(), MemoryStore(), [ANYWHERE], dev=dev, tls=tls)
    application.start()
    try:
        yield application.addresses[0]
    finally:
        application.stop()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def served(tmp_path: Path) -> Files:
    return certified(tmp_path)


def shown(address: Address) -> str:
    """The SHA-256 of the certificate that the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address.host, address.port), HANG_SECONDS) as plain,
        context.wrap_socket(plain) as client,
    ):
        return hashlib.sha256(client.getpeercert(binary_form=True) or b"").hexdigest()


# ---------------------------------------------------------------------------------- listening without TLS


@pytest.mark.parametrize(
    ("networks", "listener", "is_allowed"),
    [
        (LOOPBACK_NETWORKS, "127.0.0.1:1", True),
        (LOOPBACK_NETWORKS, "[::1]:1", True),
        (LOOPBACK_NETWORKS, "localhost:1", True),
        (LOOPBACK_NETWORKS, "unix:/run/hq.sock", True),
        (LOOPBACK_NETWORKS, ":1", False),
        (LOOPBACK_NETWORKS, "[::]:1", False),
        (LOOPBACK_NETWORKS, "10.8.0.1:1", False),
        (["10.8.0.0/16"], "10.8.0.1:1", True),
        (["10.8.0.0/16"], "10.9.0.1:1", False),
        (["10.8.0.0/16"], "127.0.0.1:1", False),
        (["10.8.0.0/16"], ":1", False),
        (["0.0.0.0/0"], ":1", True),
        (["0.0.0.0/0"], "[::]:1", False),
        (["::/0"], "[::]:1", True),
    ],
)
def test_a_listener_that_others_can_reach_needs_tls_or_a_network_that_names_it(
    networks: list[str], listener: str, is_allowed: bool, served: Files
) -> None:
    address = Address.parse_listen(listener)
    TlsFiles(served.certificate, served.key, None, networks).assert_encrypted([address])
    without = TlsFiles(None, None, None, networks)
    if is_allowed:
        without.assert_encrypted([address])
    else:
        with pytest.raises(CommandError, match="others can reach it, and there is no TLS: give --tls-certificate and"):
            without.assert_encrypted([address])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--listen", ":0"], "Cannot listen on 0.0.0.0:0: others can reach it, and there is no TLS: give"),
        (["--tls-key", "x"], "--tls-certificate and --tls-key are given together: name both files."),
        (["--tls-client-ca", "x"], "--tls-client-ca needs --tls-certificate and --tls-key: name these files, too."),
        (["--tls-certificate", "x", "--tls-key", "y"], "Cannot serve TLS: x is no file; name a PEM file."),
        (["--allow-plaintext", "vpn"], "expected a network such as 10.8.0.0/16 or fd00::/8: 'vpn' does not appear"),
    ],
)
def test_serve_says_which_option_of_tls_is_wrong_and_makes_nothing(
    options: list[str], reason: str, shell: Shell, tmp_path: Path
) -> None:
    done = shell("inventory-server", "serve", *options)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err.replace("\n", " ")
    assert not (tmp_path / "tillwire.db").exists()


def test_development_mode_is_refused_where_terminals_have_tokens(shell: Shell, tmp_path: Path) -> None:
    url = new_ledger(tmp_path / "hq.db")
    with open_reader(url, Settings(), now_microseconds) as reader:
        check_before_serving(reader, dev=True)
    assert shell("inventory-server", "terminal", "add", "T1", "--location", "A", "--db", url).code == 0
    with open_reader(url, Settings(), now_microseconds) as reader:
        check_before_serving(reader, dev=False)
    done = shell("inventory-server", "serve", "--dev", "--listen", "127.0.0.1:0", "--db", url)
    assert (done.code, done.out) == (2, "")
    said = "Terminals of this ledger have tokens (1 terminal, such as T1), and with --dev nobody needs one: leave out "
    assert done.err == f"inventory-server: {said}--dev, or use another ledger for trials.\n"


# ---------------------------------------------------------------------------------- clients that prove themselves


def newest(_: ServerTls) -> None:
    """TLS 1.3: the refusal comes after the client's handshake."""


def older(tls: ServerTls) -> None:
    tls.context.maximum_version = ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("version", [newest, older])
def test_a_client_without_a_good_certificate_is_refused_and_told_so(
    version: Callable[[ServerTls], None], served: Files, tmp_path: Path
) -> None:
    tls = ServerTls(served.certificate, served.key, [], served.ca)
    version(tls)
    mine = certified(tmp_path, "till-1", "client")
    late = certified(tmp_path, "late", "client", days=-1)
    foreign = certified(tmp_path, "foreign", "client", above="Another")
    with headquarters(tls) as address:
        for bad, reason in (
            (served.ca, "certificate required" if version is newest else "handshake failure"),
            (ClientTls(served.ca, late.certificate, late.key), "certificate expired"),
            (ClientTls(served.ca, foreign.certificate, foreign.key), "unknown ca"),
            (ClientTls(served.ca, served.certificate, served.key), "unsupported certificate|bad certificate"),
        ):
            with pytest.raises(HqRefused, match=reason):
                Connection.open(address, tls=bad).request("ping")
        with closing(Connection.open(address, tls=ClientTls(served.ca, mine.certificate, mine.key))) as good:
            assert good.request("ping") is not None


def test_a_refusal_that_has_arrived_before_the_request_is_no_lost_connection(served: Files) -> None:
    with headquarters(ServerTls(served.certificate, served.key, [], served.ca)) as address:
        connection = Connection.open(address, tls=served.ca)
        select.select([connection._stream._socket], [], [], HANG_SECONDS)
        assert not connection.is_dropped()
        with pytest.raises(HqRefused, match="certificate required"):
            connection.request("ping")


def test_a_till_whose_certificate_is_refused_is_refused_and_not_offline(served: Files, tmp_path: Path) -> None:
    with (
        headquarters(ServerTls(served.certificate, served.key, [], served.ca)) as address,
        PosClient(str(address), terminal="t", location="A", outbox=tmp_path / "t.db", tls=served.ca) as till,
    ):
        posting = till.sell([("x", 1)])
        with pytest.raises(HqRefused, match="accepts no connection with this till's TLS certificate"):
            posting.wait(HANG_SECONDS)
        status = till.status()
        assert (status.refused, status.pending) == (True, 1)


def test_a_clients_certificate_that_cannot_be_used_is_named(served: Files) -> None:
    with (
        headquarters(ServerTls(served.certificate, served.key, [])) as address,
        pytest.raises(ConnectionLost, match=r"the client's certificate .*missing cannot be used: No such file"),
    ):
        Connection.open(address, tls=ClientTls(served.ca, "missing"))


@pytest.mark.parametrize(
    ("text", "reason"), [("no PEM", "holds no certificate of an authority in PEM"), (None, "is no file")]
)
def test_an_authority_of_clients_that_cannot_be_used_is_named(text: str | None, reason: str, served: Files) -> None:
    if text is None:
        served.ca.unlink()
    else:
        served.ca.write_text(text)
    with pytest.raises(Exception, match=f"Cannot serve TLS: .*Test.ca.pem {reason}; name a PEM file"):
        ServerTls(served.certificate, served.key, [], served.ca)


# ---------------------------------------------------------------------------------- renewal


def test_a_renewed_certificate_is_served_at_once_and_open_connections_stay(
    served: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tillwire.tls")
    tls = ServerTls(served.certificate, served.key, [])
    with headquarters(tls) as address, closing(Connection.open(address, tls=served.ca)) as connection:
        before = shown(address)
        certified(tmp_path)
        assert shown(address) == before, "files are read when the operator says so"
        renew(tls)
        assert shown(address) != before
        assert "event=certificate_renewed" in caplog.text
        assert connection.request("ping") is not None
        renewed = shown(address)
        served.key.write_text("half written")
        renew(tls)
        assert "event=certificate_not_renewed error=Cannot serve TLS with" in caplog.text
        assert shown(address) == renewed
    renew(None)


def test_a_server_with_tls_serves_the_commands_and_renews_at_sighup(
    served: Files, tmp_path: Path, shell: Shell
) -> None:
    """The whole way: a process of its own, a till and a question that encrypt, and the signal."""
    tls = ("--tls-certificate", str(served.certificate), "--tls-key", str(served.key), "--allow-plaintext", NOWHERE)
    server = Server(tmp_path, *tls)
    server.start()
    try:
        till = ("--terminal", "t1", "--location", "A", "--outbox", tmp_path / "t1.db", "--wait", str(HANG_SECONDS))
        sold = shell("pos-client", "sell", "x=2", "--server", server.address, "--tls-ca", served.ca, *till)
        assert (sold.code, sold.err) == (0, "")
        shell.env(TILLWIRE_SERVER=server.address, TILLWIRE_TLS_CA=str(served.ca))
        asked = shell("stock-query", "x", "--format", "csv")
        assert asked.out.splitlines()[1].startswith("x,A,-2,")
        plain = shell("pos-client", "status", "--outbox", tmp_path / "t1.db", "--tls-ca", "")
        assert "answers at" not in plain.out
        address = Address.parse(server.address)
        before = shown(address)
        certified(tmp_path)
        os.kill(server.pid, signal.SIGHUP)
        wait_until(lambda: shown(address) != before)
        wait_until(lambda: "event=certificate_renewed" in server.log.read_text())
    finally:
        assert server.stop() == 0
