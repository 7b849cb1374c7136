"""What systemd and a service tell each other: sockets that it listens on already, and that the service is ready."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from pos_client.protocol.errors import TillwireError

_FIRST_DESCRIPTOR = 3


class BadActivation(TillwireError):
    """A socket that was passed at start cannot be served."""


def activated_sockets(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets that were passed to this process (`LISTEN_FDS`); BadActivation for others.

    They outlive the process: whoever connects during a restart waits. Children inherit neither them nor the variables.
    """
    meant_for, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "0")
    environ.pop("LISTEN_FDNAMES", None)
    if meant_for != str(os.getpid()) or not count.isdecimal():
        return []
    passed = [socket.socket(fileno=_FIRST_DESCRIPTOR + nth) for nth in range(int(count))]
    for each in passed:
        each.set_inheritable(False)
    if deaf := [each.fileno() for each in passed if not each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]:
        for each in passed:
            each.close()
        raise BadActivation(
            f"Socket {deaf[0]} that was passed does not listen: the unit needs ListenStream= and Accept=no."
        )
    return passed


def notify(state: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Tell systemd `state`, such as `READY=1`; nothing where nobody asked (`NOTIFY_SOCKET`). OSError if that fails."""
    path = environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
            told.connect("\0" + path[1:] if path.startswith("@") else path)
            told.sendall(state.encode())
