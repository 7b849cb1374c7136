"""The server's log: one event per line on standard error, with ISO 8601 local time and its offset from UTC."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from types import TracebackType

from pos_client.protocol.printable import escaped


class ZonedFormatter(logging.Formatter):
    """Formats a record's time like 2026-01-31T18:04:05.123+01:00, in the time zone of this machine.

    Control characters are escaped: a record quotes clients and databases, and is read in a terminal.
    """

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 (overrides)
        """The time of `record`."""
        return datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (overrides)
        """The line of `record`."""
        return escaped(super().formatMessage(record))

    def formatException(  # noqa: N802 (overrides)
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """The traceback `ei`, line by line."""
        return "\n".join(map(escaped, super().formatException(ei).split("\n")))


def log_to_stderr(verbose: bool) -> None:
    """Log to standard error; `verbose` adds each request and each connection."""
    handler = logging.StreamHandler()
    handler.setFormatter(ZonedFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)
