"""What a till that has enrolled keeps beside its outbox: its token, and the certificate of HQ's authority."""

from __future__ import annotations

import os
from pathlib import Path

from pos_client.protocol.errors import OutboxError


class EnrolledFiles:
    """The files beside `outbox`, which only their owner may read."""

    def __init__(self, outbox: str | Path) -> None:
        self.token = Path(f"{outbox}.token")
        self.authority = Path(f"{outbox}.ca.pem")

    def read_token(self) -> str | None:
        """The token; None if the till has not enrolled with a code. OutboxError if it cannot be read."""
        try:
            return self.token.read_text("utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise OutboxError(f"The token beside the outbox cannot be read: {error}. Enrol the till again.") from error

    def find_authority(self) -> Path | None:
        """The file with the authority's certificate; None if there is none."""
        return self.authority if self.authority.exists() else None

    def prepare(self, authority: str) -> None:
        """Write the authority's certificate under another name, as a test that the files can be written; OSError."""
        _write(_fresh(self.authority), authority)
        _write(_fresh(self.token), "")

    def forget(self) -> None:
        """Remove what was prepared, if the till was not enrolled after all."""
        for path in (self.authority, self.token):
            _fresh(path).unlink(missing_ok=True)

    def keep(self, token: str) -> None:
        """Put the token, and the certificate that was prepared, in place of what was there."""
        _write(_fresh(self.token), f"{token}\n")
        for path in (self.authority, self.token):
            _fresh(path).replace(path)


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(text)
        written.flush()
        os.fsync(descriptor)
