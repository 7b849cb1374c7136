"""The server's log: one event per line on standard error, with ISO 8601 local time and its offset from UTC."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from inventory_server.config import LOG_FLUSH_SECONDS, LOG_LINES_WAITING_MAX
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


class QueuedHandler(logging.Handler):
    """Has a thread of its own write to `stream`: a pipe that nobody reads must not stop the thread that serves all.

    Lines beyond LOG_LINES_WAITING_MAX are dropped; the log tells how many once it is read again.
    """

    def __init__(self, stream: TextIO, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._stream = stream
        # Guards all below.
        self._changed = threading.Condition()
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._is_writing = False
        self._is_over = False
        self._thread = threading.Thread(target=self._write_queued, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of `record`."""
        line = self.format(record)
        with self._changed:
            if len(self._lines) >= LOG_LINES_WAITING_MAX:
                self._dropped += 1
                return
            self._lines.append(line)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all is written, LOG_FLUSH_SECONDS at most."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._lines or self._is_writing), LOG_FLUSH_SECONDS)

    def close(self) -> None:
        """End the thread once all is written; does not wait for that."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        super().close()

    def _write_queued(self) -> None:
        while lines := self._next_lines():
            try:
                self._stream.write("".join(f"{line}\n" for line in lines))
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads any more, as where a pipe is closed
                with self._changed:
                    self._dropped += len(lines)

    def _next_lines(self) -> list[str]:
        with self._changed:
            self._is_writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._lines or self._is_over)
            lines = list(self._lines)
            self._lines.clear()
            self._is_writing = bool(lines)
            if lines and self._dropped:
                said = {"levelno": logging.ERROR, "levelname": "ERROR", "name": "tillwire.log"}
                said |= {"msg": "event=log_lines_dropped lines=%d", "args": (self._dropped,)}
                lines.append(self.format(logging.makeLogRecord(said)))
                self._dropped = 0
        return lines


@contextmanager
def logging_without_waiting() -> Iterator[None]:
    """Within the block, the handlers of `log_to_stderr` write on threads; for a process that does not fork any more."""
    root = logging.getLogger()
    direct = [handler for handler in root.handlers if type(handler) is logging.StreamHandler]
    queued: list[logging.Handler] = [QueuedHandler(handler.stream, handler.formatter) for handler in direct]
    root.handlers = [*(handler for handler in root.handlers if handler not in direct), *queued]
    try:
        yield
    finally:
        root.handlers = [*(handler for handler in root.handlers if handler not in queued), *direct]
        for handler in queued:
            handler.flush()
            handler.close()


def flush_log() -> None:
    """Have what was logged written, for a process that exits at once."""
    for handler in logging.getLogger().handlers:
        handler.flush()
