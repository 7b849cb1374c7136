"""The till without what Windows lacks: no fcntl, no Unix sockets, no boot clock. Its tests pass all the same."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pos_client import ConnectionLost, PosClient
from pos_client.till.clock import machine_tick_clock
from pos_client.till.file_lock import FileLock
from tests.support.scripted_hq import ScriptedHq
from tests.support.tills import assert_each_once, sell
from tests.support.waiting import HANG_SECONDS

TILL = [
    *("test_outbox.py", "test_outbox_file.py", "test_sender.py", "test_sender_trouble.py"),
    *("test_pos_client.py", "test_pos_client_misuse.py"),
]


@pytest.mark.long
def test_the_tests_of_outbox_sender_and_client_pass_without_what_windows_lacks(root: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    files = [f"tests/integration/{name}" for name in TILL]
    done = subprocess.run(
        [*command, "-p", "tests.support.bare_system", "-m", "not long", *files],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_lock_excludes_other_processes_and_ends_with_its_holder(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "till.db.lock"
    hold = (
        "import sys; from pathlib import Path; from pos_client.till.file_lock import FileLock\n"
        "lock = FileLock(Path(sys.argv[1])); print(lock.try_acquire(), flush=True); sys.stdin.read()"
    )
    lock = FileLock(path)
    with subprocess.Popen(
        [sys.executable, "-c", hold, path], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not lock.try_acquire()
        holder.kill()
    assert lock.try_acquire()
    assert lock.try_acquire()  # it is held already
    lock.release()
    assert [file.name for file in tmp_path.iterdir()] == ["till.db.lock"]
    assert path.stat().st_size == 0
    lock.close()


def test_a_unix_socket_on_a_system_without_any_is_named_as_the_cause(
    open_till: Callable[..., PosClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(ConnectionLost, match="this system has no Unix sockets; use HOST:PORT"):
        open_till(address="unix:/nowhere.sock").stock(timeout=0.5)


def test_without_a_boot_clock_the_tick_clock_is_the_processs_own(
    hq: ScriptedHq, open_till: Callable[..., PosClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    first, other = machine_tick_clock(), machine_tick_clock()
    assert first().boot == first().boot != other().boot
    till = open_till()
    assert_each_once(hq, sell(till))
