"""`inventory-server doctor`: looks for what will go wrong soon, and says what to do about it."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from inventory_server.commands.options import counted, db_option, json_option, load_settings, office_of
from inventory_server.config import (
    DOCTOR_CERTIFICATE_DAYS_MIN,
    DOCTOR_DISK_BYTES_MIN,
    DOCTOR_TILLS_MIN,
    Settings,
)
from inventory_server.domain.answers import TerminalRow
from inventory_server.domain.requests import ListTerminals
from inventory_server.jsonserver import OPENSSL, CannotListen, ServerTls, certificate_end
from inventory_server.store import StoreError, shown, sqlite_path
from pos_client.commands import console

_FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found about one thing, and what to do; nothing to do: it is all right."""

    subject: str
    found: str
    advice: str | None = None


@click.command("doctor")
@db_option
@click.option("--config", type=_FILE, help="The TOML file that the server is started with.")
@click.option("--tls-certificate", type=_FILE, help="The server's certificate.")
@click.option("--tls-key", type=_FILE, help="The certificate's private key.")
@json_option
def doctor(db: str, config: Path | None, tls_certificate: Path | None, tls_key: Path | None, as_json: bool) -> int:
    """Look for what will go wrong: ledger, disk, clocks, limits, certificate, versions; exit code 1 if something will.

    Run it as the user of the server, with the same --db. A running server is not disturbed.
    """
    settings = load_settings(config)
    found = [*_ledger(db, settings), *_disk(db), _open_files(settings), *versions(sys.version_info[:3], OPENSSL)]
    if tls_certificate is not None and tls_key is not None:
        found.append(certificate_days(tls_certificate, tls_key, time.time()))
    if as_json:
        console.print_json([{"subject": one.subject, "found": one.found, "advice": one.advice} for one in found])
    else:
        console.print_table(
            {"checked": False, "found": False, "what to do": False},
            [[one.subject, one.found, one.advice or "nothing"] for one in found],
        )
    return console.FOUND_PROBLEMS if any(one.advice for one in found) else console.OK


def _ledger(db: str, settings: Settings) -> Iterator[Diagnosis]:
    """Opening it checks its tables, its indexes and what its database guarantees."""
    try:
        with office_of(db) as office:
            terminals: list[TerminalRow] = office.ask(ListTerminals())
    except StoreError as error:
        yield Diagnosis("ledger", str(error), "do as it says")
        return
    yield Diagnosis("ledger", f"{shown(db)} can be read; {counted(len(terminals), 'terminal')}")
    yield clocks(terminals, settings.clock_tolerance_seconds * 1_000)


def clocks(terminals: Sequence[TerminalRow], tolerance_ms: int) -> Diagnosis:
    """Tills' clocks beside HQ's: if most are off to the same side, HQ's is the wrong one."""
    known = {row.terminal: row.clock_offset_ms for row in terminals if row.clock_offset_ms is not None}
    fast = sorted(name for name, offset in known.items() if offset > tolerance_ms)
    slow = sorted(name for name, offset in known.items() if offset < -tolerance_ms)
    most = max(fast, slow, key=len)
    if len(known) >= DOCTOR_TILLS_MIN and 2 * len(most) > len(known):
        side = "ahead of" if most is fast else "behind"
        return Diagnosis(
            "clocks", f"{len(most)} of {len(known)} tills are {side} this machine", "set its clock: timedatectl"
        )
    if wrong := [*fast, *slow]:
        others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return Diagnosis("clocks", f"the clock of {wrong[0]}{others} is wrong", "set it there; see: terminal list")
    return Diagnosis("clocks", f"they agree with this machine's: {counted(len(known), 'till')}")


def _disk(db: str) -> Iterator[Diagnosis]:
    path = sqlite_path(db)
    if path is None or not path.parent.is_dir():
        return
    free = shutil.disk_usage(path.parent).free
    is_low = free < DOCTOR_DISK_BYTES_MIN
    advice = "free or add space: with a full disk HQ accepts no postings" if is_low else None
    yield Diagnosis("disk", f"{free >> 20:,} MiB are free", advice)


def _open_files(settings: Settings) -> Diagnosis:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_connections + settings.reserved_files + settings.surplus_connections
    advice = None if files >= needed else f"raise it to {needed:,}: LimitNOFILE= in the unit, or ulimit -n"
    return Diagnosis("open files", f"this user's limit is {files:,}", advice)


def certificate_days(certificate: Path, key: Path, now: float) -> Diagnosis:
    """How long the server's certificate is still valid; `now` in seconds since 1970."""
    renew = "renew it: inventory-server pki server --renew, then systemctl reload tillwire"
    try:
        left = timedelta(seconds=certificate_end(ServerTls(certificate, key).context, certificate) - now).days
    except CannotListen as error:
        return Diagnosis("certificate", str(error), renew)
    said = f"it ended {counted(-left - 1, 'day')} ago" if left < 0 else f"it is valid for {counted(left, 'day')}"
    return Diagnosis("certificate", said, renew if left < DOCTOR_CERTIFICATE_DAYS_MIN else None)


def versions(python: tuple[int, ...], openssl: tuple[int, ...]) -> Iterator[Diagnosis]:
    """Versions with known faults that a server on a network must not have."""
    named = ".".join(map(str, python))
    bypass = "update Python: clients can skip the TLS handshake (CVE-2023-40217)" if python < (3, 11, 5) else None
    yield Diagnosis("Python", named, bypass)
    major, minor, _, patch, _ = openssl
    overflow = "update OpenSSL: a certificate can overflow a buffer (CVE-2022-3602)"
    yield Diagnosis("OpenSSL", f"{major}.{minor}.{patch}", overflow if (major, minor) == (3, 0) and patch < 7 else None)
