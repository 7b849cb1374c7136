"""The server's log is read in a terminal: what it quotes cannot control one."""

import logging
import sys

from inventory_server.commands.logs import ZonedFormatter


def test_a_record_is_one_line_and_its_traceback_has_no_control_characters() -> None:
    try:
        raise ValueError("\x1b]0;pwn\x07 \x9b31m \u202e")
    except ValueError:
        record = logging.makeLogRecord({"msg": "event=%s", "args": ("a\nb\x1b[31m",), "exc_info": sys.exc_info()})
    first, *traceback = ZonedFormatter("%(message)s").format(record).split("\n")
    assert first == r"event=a\nb\x1b[31m"
    assert traceback[0] == "Traceback (most recent call last):"
    assert traceback[-1] == r"ValueError: \x1b]0;pwn\x07 \x9b31m \u202e"
