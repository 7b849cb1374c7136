"""A certificate authority of the tests' own, made by the program itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

from inventory_server.pki import KeyPair, make_authority, make_certificate


@cache
def authority(name: str = "Test") -> KeyPair:
    return make_authority(name, datetime.now(UTC), 3_650)


@dataclass(frozen=True)
class Files:
    """A certificate and its key in files, and the authority's certificate."""

    certificate: Path
    key: Path
    ca: Path


Purpose = Literal["server", "client"]


def certified(
    folder: Path, name: str = "server", purpose: Purpose = "server", above: str = "Test", days: int = 30
) -> Files:
    """The files of a new certificate for this machine in `folder`; it ended `-days` ago where that is above 0."""
    now = datetime.now(UTC) + timedelta(days=min(0, days - 1))
    hosts = ["localhost", "127.0.0.1"] if purpose == "server" else []
    pair = make_certificate(authority(above), purpose, name, hosts, now, 1 if days < 0 else days)
    files = Files(folder / f"{name}.pem", folder / f"{name}.key", folder / f"{above}.ca.pem")
    files.certificate.write_text(pair.certificate + authority(above).certificate)
    files.key.write_text(pair.key)
    files.ca.write_text(authority(above).certificate)
    return files
