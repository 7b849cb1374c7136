"""Keeps another program running beside the server: starts it again when it ends, later each time it ends early."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from inventory_server.config import (
    ENDING_SECONDS,
    KEPT_LONG_SECONDS,
    KEPT_RESTART_FIRST_SECONDS,
    KEPT_RESTART_MAX_SECONDS,
)

log = logging.getLogger("tillwire.keeper")


def pause_before(earlier: float, lived: float) -> float:
    """How long to wait, in seconds, before a program that lived for `lived` is started again, after `earlier`."""
    if lived >= KEPT_LONG_SECONDS:
        return KEPT_RESTART_FIRST_SECONDS
    return min(max(KEPT_RESTART_FIRST_SECONDS, 2 * earlier), KEPT_RESTART_MAX_SECONDS)


class Keeper:
    """Runs `command`, named `name` in the log, by a thread of its own.

    Its standard input is a pipe that ends with this process, however that ends: the program ends then, too.
    `environment` is what it gets besides that of this process.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._command = list(command)
        self._environment = dict(os.environ) | dict(environment or {})
        self._timer = timer
        # Guards `_process` and `_is_stopping`.
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopping = False
        self._thread = threading.Thread(target=self._keep, name=f"tillwire-{name}", daemon=True)

    def start(self) -> None:
        """Start the program."""
        self._thread.start()

    def stop(self) -> None:
        """Have the program end; it is not started again."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
            if self._process is not None:
                self._process.terminate()

    def close(self, seconds: float) -> None:
        """Wait until the program has ended, kill it if that takes longer than `seconds`."""
        self.stop()
        self._thread.join(seconds)
        with self._changed:
            if self._process is not None:
                self._process.kill()
        self._thread.join(ENDING_SECONDS)

    def _keep(self) -> None:
        pause = 0.0
        while True:
            began = self._timer()
            code = self._run_once()
            pause = pause_before(pause, self._timer() - began)
            with self._changed:
                if self._is_stopping:
                    return
                log.error("event=program_exited program=%s exit_code=%s restart_seconds=%d", self._name, code, pause)
                if self._changed.wait_for(lambda: self._is_stopping, pause):
                    return

    def _run_once(self) -> int | None:
        """The exit code of one run; None if it could not be started."""
        with self._changed:
            if self._is_stopping:
                return None
            try:
                process = self._process = subprocess.Popen(  # noqa: S603 (ours)
                    self._command, stdin=subprocess.PIPE, env=self._environment
                )
            except OSError as error:
                log.error("event=program_not_started program=%s reason=%s", self._name, error)
                return None
        code = process.wait()
        with self._changed:
            self._process = None
        if process.stdin is not None:
            process.stdin.close()
        return code
