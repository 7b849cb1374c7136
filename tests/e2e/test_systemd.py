"""As a service: systemd's side is played by the test, which passes the socket and hears that the server is ready."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from inventory_server.systemd import BadActivation, activated_sockets, notify
from pos_client.protocol.address import Address
from tests.support.commands import Shell
from tests.support.edge import LineClient
from tests.support.ledgers import new_ledger
from tests.support.processes import ROOT, argv, environment
from tests.support.waiting import HANG_SECONDS

ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """What systemd does for a service with a socket: it keeps that open, and is told when the service is ready."""

    def __init__(self, folder: Path) -> None:
        self._db = new_ledger(folder / "hq.db")
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.settimeout(HANG_SECONDS)
        self.told.bind(str(folder / "notify"))
        self._notify = str(folder / "notify")
        self._started: list[subprocess.Popen[str]] = []

    @property
    def address(self) -> Address:
        return Address(*self.listening.getsockname())

    def started(self) -> subprocess.Popen[str]:
        command = argv("inventory-server", "serve", "--dev", "--db", self._db)
        number = self.listening.fileno()
        service = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(number), *command],
            env=environment(NOTIFY_SOCKET=self._notify),
            pass_fds=[number],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._started.append(service)
        return service

    def close(self) -> None:
        """End what a failed test has left."""
        for service in self._started:
            service.kill()
            service.communicate(timeout=HANG_SECONDS)

    def heard(self) -> str:
        return self.told.recv(4_096).decode()

    def stopped(self, service: subprocess.Popen[str]) -> str:
        service.send_signal(signal.SIGTERM)
        said, _ = service.communicate(timeout=HANG_SECONDS)
        assert service.returncode == 0, said
        return said


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    with made.listening, made.told, closing(made):
        yield made


def test_a_restart_refuses_no_till(manager: Manager) -> None:
    first = manager.started()
    ready = f"READY=1\nSTATUS=serving on {manager.address}"
    assert manager.heard() == ready
    with closing(LineClient(manager.address)) as till:
        assert "result" in till.call("ping")
    assert f"serving on {manager.address} from" in manager.stopped(first)
    # Nobody serves now: a till that connects is neither refused nor lost, it waits.
    with closing(LineClient(manager.address)) as waiting:
        waiting.send(b'{"method":"hello","id":1,"params":{"terminal":"t1","location":"A"}}\n')
        second = manager.started()
        assert manager.heard() == ready
        assert json.loads(waiting.read_line())["result"]["terminal"] == "t1"
    manager.stopped(second)


# ---------------------------------------------------------------------------------- the protocol, in this process


def test_sockets_for_another_process_are_not_taken() -> None:
    for variables in ({}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x"}):
        environ = {**variables, "LISTEN_FDNAMES": "x"}
        assert activated_sockets(environ) == []
        assert environ == {}


def test_a_socket_that_does_not_listen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
    monkeypatch.setattr("inventory_server.systemd._FIRST_DESCRIPTOR", passed)
    with pytest.raises(BadActivation, match=f"Socket {passed} that was passed does not listen: the unit needs"):
        activated_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})


def test_nobody_is_told_where_nobody_asked_and_an_abstract_name_is_one(tmp_path: Path) -> None:
    notify("READY=1", {})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"\0tillwire-test-{os.getpid()}")
        notify("READY=1", {"NOTIFY_SOCKET": f"@tillwire-test-{os.getpid()}"})
        assert told.recv(100) == b"READY=1"


def test_passed_sockets_and_addresses_exclude_each_other(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inventory_server.commands.serve.activated_sockets", lambda: [manager.listening])
    done = Shell(monkeypatch, capsys)("inventory-server", "serve", "--listen", "127.0.0.1:0")
    wrong = "inventory-server: systemd has passed sockets to listen on: leave out --listen and --unix.\n"
    assert done == (2, "", wrong)


# ---------------------------------------------------------------------------------- the units


def test_the_unit_is_hardened() -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    unit = ROOT / "examples" / "systemd" / "tillwire.service"
    done = subprocess.run([program, "security", "--offline=true", unit], capture_output=True, text=True, check=False)
    if "Overall exposure level" not in done.stdout:
        pytest.skip(f"this systemd-analyze rates no files: {done.stderr.strip()}")
    found = re.search(r"Overall exposure level for tillwire.service: ([0-9.]+)", done.stdout)
    assert found
    assert float(found[1]) < 3
