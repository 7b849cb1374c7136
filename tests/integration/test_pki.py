"""`inventory-server pki`: an authority of one's own, and certificates that the strictest check accepts."""

from __future__ import annotations

import json
import ssl
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from inventory_server.jsonserver import JsonHandler, ServerFactory, ServerTls
from inventory_server.pki import PkiError, make_authority, make_certificate
from pos_client import ClientTls, request_once
from tests.support.authorities import authority
from tests.support.commands import Shell

NOW = datetime.now(UTC)


class Echo(JsonHandler):
    def handle_message(self, message: object) -> object:
        return message


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def test_its_certificates_serve_a_server_and_a_client_that_check_strictly(shell: Shell, tmp_path: Path) -> None:
    made = shell("inventory-server", "pki", "authority")
    assert made.out == "Made the authority Tillwire: pki/ca.pem is for clients; keep pki/ca.key secret.\n"
    served = shell("inventory-server", "pki", "server", "localhost", "127.0.0.1", "--json")
    assert json.loads(served.out) == {"certificate": "pki/server.pem", "key": "pki/server.key"}
    mine = shell("inventory-server", "pki", "client", "till-1")
    assert mine.out == "Made the certificate of the client till-1: pki/till-1.pem, and its key pki/till-1.key.\n"
    pki = tmp_path / "pki"
    assert {stat.S_IMODE(path.stat().st_mode) for path in pki.iterdir()} == {0o600}
    assert stat.S_IMODE(pki.stat().st_mode) == 0o700
    tls = ServerTls(pki / "server.pem", pki / "server.key", [], pki / "ca.pem")
    assert tls.context.verify_flags & ssl.VERIFY_X509_STRICT
    with ServerFactory(Echo, "localhost:0", tls=tls) as server:
        for host, port in (each for each in server.addresses if not isinstance(each, str)):
            till = ClientTls(pki / "ca.pem", pki / "till-1.pem", pki / "till-1.key")
            name = "localhost" if ":" in host else host  # the certificate names one IP address
            assert request_once((name, port), {"a": 1}, tls=till) == {"a": 1}


def test_a_renewed_certificate_takes_the_place_of_the_old_one(shell: Shell, tmp_path: Path) -> None:
    shell("inventory-server", "pki", "authority")
    shell("inventory-server", "pki", "server", "hq.example")
    before = (tmp_path / "pki" / "server.pem").read_text()
    again = shell("inventory-server", "pki", "server", "hq.example")
    assert (again.code, again.out) == (2, "")
    assert "pki/server.key exists already: remove it, or use another folder or --renew." in again.err
    assert (tmp_path / "pki" / "server.pem").read_text() == before
    assert shell("inventory-server", "pki", "server", "hq.example", "--renew").code == 0
    ServerTls(tmp_path / "pki" / "server.pem", tmp_path / "pki" / "server.key")
    assert (tmp_path / "pki" / "server.pem").read_text() != before
    assert [path.name for path in (tmp_path / "pki").glob("*.new")] == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["server", "hq"], "pki/ca.key cannot be read: No such file or directory. Make an authority with: "),
        (["client", "ca"], "ca.pem is the file of another certificate: choose another name."),
        (["client", "a b"], "Expected a name of 1 to 64 letters, digits, dots, dashes or underscores, got 'a b'."),
        (["server"], "Missing argument 'HOST...'"),
    ],
)
def test_what_cannot_be_made_is_said_with_the_next_step(arguments: list[str], reason: str, shell: Shell) -> None:
    done = shell("inventory-server", "pki", *arguments)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err


def test_without_the_extra_it_says_what_to_install(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "inventory_server.pki")
    monkeypatch.delattr("inventory_server.pki", raising=False)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    done = shell("inventory-server", "pki", "authority")
    said = "cryptography is missing, which makes certificates: pip install 'tillwire[tls]'"
    assert (done.code, said in done.err) == (2, True)


def test_an_authority_that_has_ended_or_is_damaged_signs_nothing() -> None:
    ended = make_authority("Old", NOW - timedelta(days=30), 20)
    with pytest.raises(PkiError, match=r"certificate ended on .*: make a new authority in another folder"):
        make_certificate(ended, "server", "hq", ["hq"], NOW, 1)
    mixed = type(ended)(authority().key, ended.certificate)
    with pytest.raises(PkiError, match="The authority's key is not that of its certificate"):
        make_certificate(mixed, "server", "hq", ["hq"], NOW, 1)
    with pytest.raises(PkiError, match="hold no certificate and key in PEM"):
        make_certificate(type(ended)("x", "y"), "server", "hq", ["hq"], NOW, 1)


def test_a_certificate_ends_with_its_authority(tmp_path: Path) -> None:
    short = make_authority("Short", NOW, 10)
    pair = make_certificate(short, "server", "hq", ["hq"], NOW, 400)
    (tmp_path / "hq.pem").write_text(pair.certificate)
    (tmp_path / "ca.pem").write_text(short.certificate)
    ends = [ssl._ssl._test_decode_cert(str(tmp_path / name))["notAfter"] for name in ("hq.pem", "ca.pem")]  # type: ignore[attr-defined]
    assert ends[0] == ends[1]
