"""The server's log is read in a terminal: what it quotes cannot control one."""

import io
import logging
import sys
import threading
import time

import pytest

from inventory_server.commands.logs import ZonedFormatter, flush_log, logging_without_waiting
from tests.support.waiting import HANG_SECONDS


def test_a_record_is_one_line_and_its_traceback_has_no_control_characters() -> None:
    try:
        raise ValueError("\x1b]0;pwn\x07 \x9b31m \u202e")
    except ValueError:
        record = logging.makeLogRecord({"msg": "event=%s", "args": ("a\nb\x1b[31m",), "exc_info": sys.exc_info()})
    first, *traceback = ZonedFormatter("%(message)s").format(record).split("\n")
    assert first == r"event=a\nb\x1b[31m"
    assert traceback[0] == "Traceback (most recent call last):"
    assert traceback[-1] == r"ValueError: \x1b]0;pwn\x07 \x9b31m \u202e"


class Pipe(io.StringIO):
    """Takes nothing until it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = threading.Event()
        self.entered = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.is_read.wait(HANG_SECONDS)
        return super().write(text)


def test_a_log_that_nobody_reads_holds_nobody_up_and_says_what_it_has_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inventory_server.commands.logs.LOG_LINES_WAITING_MAX", 3)
    monkeypatch.setattr("inventory_server.commands.logs.LOG_FLUSH_SECONDS", HANG_SECONDS)
    pipe = Pipe()
    direct = logging.StreamHandler(pipe)
    direct.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [direct])
    with logging_without_waiting():
        root.error("first")
        assert pipe.entered.wait(HANG_SECONDS)
        for number in range(5):
            root.error("line %d", number)
        pipe.is_read.set()
        flush_log()
        root.error("last")
    assert root.handlers == [direct]
    said = pipe.getvalue().splitlines()
    assert said == [
        *("ERROR first", "ERROR line 0", "ERROR line 1", "ERROR line 2"),
        *("ERROR event=log_lines_dropped lines=2", "ERROR last"),
    ]


def test_a_log_whose_reader_has_gone_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inventory_server.commands.logs.LOG_FLUSH_SECONDS", HANG_SECONDS)
    closed = io.StringIO()
    closed.close()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(closed)])
    with logging_without_waiting():
        root.error("unread")


def test_the_log_tells_time_with_its_offset_from_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-05:30")
    time.tzset()
    record = logging.makeLogRecord({"msg": "event=x", "created": 1_700_000_000.123})
    said = ZonedFormatter("%(asctime)s %(message)s").format(record)
    monkeypatch.undo()
    time.tzset()
    assert said == "2023-11-15T03:43:20.123+05:30 event=x"
