"""A word with a running process: one JSON object there, one back, over a Unix socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.waiting import HANG_SECONDS


def serve(path: str, answer: Callable[[dict[str, Any]], Any]) -> None:
    """Answer whoever asks at `path`, on a thread of its own."""
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    threading.Thread(target=_serve, args=(listener, answer), daemon=True, name="harness control").start()


def _serve(listener: socket.socket, answer: Callable[[dict[str, Any]], Any]) -> None:
    while True:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as lines:
            for line in lines:
                peer.sendall(json.dumps(answer(json.loads(line))).encode() + b"\n")


def ask(path: str | Path, request: dict[str, Any]) -> Any:
    """The answer of the process at `path`; OSError where it is gone, or has not come yet."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(HANG_SECONDS)
        peer.connect(str(path))
        peer.sendall(json.dumps(request).encode() + b"\n")
        with peer.makefile("rb") as lines:
            line = lines.readline()
    if not line:
        raise ConnectionResetError(f"no answer at {path}")
    return json.loads(line)
