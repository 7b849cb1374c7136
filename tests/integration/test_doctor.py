"""`inventory-server health` and `doctor`: is it well, and what will go wrong."""

from __future__ import annotations

import json
import resource
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from inventory_server.commands import doctor
from inventory_server.commands.doctor import versions
from inventory_server.domain.answers import TerminalRow
from pos_client.protocol.address import Address
from tests.support.authorities import certified
from tests.support.commands import Shell, headquarters
from tests.support.edge import LineClient


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(monkeypatch, capsys)


def test_a_server_that_answers_is_ready_and_one_that_is_gone_is_not(shell: Shell, tmp_path: Path) -> None:
    with headquarters(tmp_path, control=True) as (address, url):
        client = LineClient(Address.parse(address))
        client.call("ping")
        done = shell("inventory-server", "health", "--db", url)
        assert (done.code, done.out) == (0, f"Ready: 1 process of {url}, 1 connection, 0 postings.\n")
        told = json.loads(shell("inventory-server", "health", "--json", "--db", url).out)
        assert told == {"db": url, "processes": 1, "connections": 1, "postings": 0}
        client.close()
    gone = shell("inventory-server", "health", "--db", url)
    assert (gone.code, gone.out) == (2, "")
    assert "does not answer" in gone.err


class Usage(NamedTuple):
    free: int


def subjects(told: str) -> dict[str, Any]:
    return {each["subject"]: each["advice"] for each in json.loads(told)}


def test_what_is_well_needs_nothing_and_what_is_not_says_what_to_do(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'hq.db'}"
    files = certified(tmp_path)
    tls = ("--tls-certificate", files.certificate, "--tls-key", files.key)
    assert shell("inventory-server", "db", "upgrade", "--db", url).code == 0
    monkeypatch.setattr(doctor, "versions", lambda *_: versions((3, 11, 9), (3, 0, 0, 15, 0)))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4_096, 4_096))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(5 << 30))
    well = shell("inventory-server", "doctor", "--db", url, "--json", *tls)
    wanted = ["ledger", "clocks", "disk", "open files", "Python", "OpenSSL", "certificate"]
    assert (well.code, subjects(well.out)) == (1, dict.fromkeys(wanted) | {"certificate": doctor_advice()})
    longer = certified(tmp_path, "longer", days=90)
    good = ("--tls-certificate", longer.certificate, "--tls-key", longer.key)
    assert shell("inventory-server", "doctor", "--db", url, *good).code == 0
    monkeypatch.setattr(doctor, "versions", lambda *_: versions((3, 11, 4), (3, 0, 0, 15, 0)))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(5 << 20))
    ill = shell("inventory-server", "doctor", "--db", url, *good)
    assert ill.code == 1
    said = " ".join(ill.out.split())
    assert "LimitNOFILE" in said
    assert "CVE-2023-40217" in said
    assert "full disk" in said


def doctor_advice() -> str:
    return "renew it: inventory-server pki server --renew, then systemctl reload tillwire"


def test_a_ledger_that_cannot_be_read_is_a_finding(shell: Shell, tmp_path: Path) -> None:
    done = shell("inventory-server", "doctor", "--db", f"sqlite:///{tmp_path / 'gone.db'}", "--json")
    [ledger] = [each for each in json.loads(done.out) if each["subject"] == "ledger"]
    assert (done.code, ledger["advice"]) == (1, "do as it says")
    assert "There is no database" in ledger["found"]


@pytest.mark.parametrize(
    ("days", "found", "advice"),
    [
        (90, "it is valid for 89 days", None),
        (10, "it is valid for 9 days", doctor_advice()),
        (-3, "it ended 3 days ago", doctor_advice()),
    ],
)
def test_the_days_of_a_certificate(days: int, found: str, advice: str | None, tmp_path: Path) -> None:
    files = certified(tmp_path, days=days)
    diagnosis = doctor.certificate_days(files.certificate, files.key, time.time())
    assert (diagnosis.found, diagnosis.advice) == (found, advice)
    assert "is no file" in doctor.certificate_days(tmp_path / "gone.pem", files.key, 0).found


def row(terminal: str, offset_ms: int | None) -> TerminalRow:
    return TerminalRow(terminal, "till", "A", 0, [], [], 0, None, None, 0, 0, offset_ms, True)


@pytest.mark.parametrize(
    ("offsets", "found", "advice"),
    [
        ([], "they agree with this machine's: 0 tills", None),
        ([None, 100, -100], "they agree with this machine's: 2 tills", None),
        ([3_600_000], "the clock of t0 is wrong", "set it there; see: terminal list"),
        ([3_600_000, 0, -3_600_000], "the clock of t0 and 1 more is wrong", "set it there; see: terminal list"),
        ([9_000, 9_000, 0], "2 of 3 tills are ahead of this machine", "set its clock: timedatectl"),
        ([-9_000, -9_000, 0], "2 of 3 tills are behind this machine", "set its clock: timedatectl"),
    ],
)
def test_if_most_tills_disagree_the_clock_of_hq_is_wrong(
    offsets: list[int | None], found: str, advice: str | None
) -> None:
    rows = [row(f"t{nth}", offset) for nth, offset in enumerate(offsets)]
    diagnosis = doctor.clocks(rows, 2_000)
    assert (diagnosis.found, diagnosis.advice) == (found, advice)


@pytest.mark.parametrize(("patch", "is_faulty"), [(6, True), (7, False)])
def test_an_openssl_with_a_known_fault_is_found(patch: int, is_faulty: bool) -> None:
    _, openssl = versions((3, 11, 9), (3, 0, 0, patch, 0))
    assert (openssl.advice is not None) is is_faulty
