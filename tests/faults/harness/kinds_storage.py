"""Disks that are full, read-only, slow to unlock, lying about flushes, or without power; backups taken and restored."""

from __future__ import annotations

import errno
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

from inventory_server.store import StoreError
from tests.faults.harness import checker, crash_states, facilities, flips, shim
from tests.faults.harness.disk import Disk
from tests.faults.harness.stage import Kind, Mutants, Stage, under_load
from tests.faults.harness.world import Broken, Plan, World
from tests.support.maintenance import verified
from tests.support.waiting import HANG_SECONDS

LOCKED_SECONDS = 0.5
"""Longer than a server under test waits for a lock."""
_SUFFIXES = ("", "-wal", "-shm")


@contextmanager
def _on_a_disk(stage: Stage, *, tills: bool = False) -> Iterator[tuple[World, Disk]]:
    with stage.disk() as disk:
        plan = Plan(till_data=disk.path) if tills else Plan(data=disk.path)
        with stage.world(plan) as world:
            world.start()
            yield world, disk


def _log(world: World) -> str:
    return (world.folder / "server.log").read_text()


def _until_refused(world: World, before: int) -> bool:
    """Wait until a commit has failed; False where none does, as when there is still room in the write-ahead log."""
    try:
        world.wait(lambda: _log(world).count("event=commits_refused") > before, "a commit to fail", 1.0)
    except Broken:
        return False
    return True


def fill_disk(stage: Stage) -> None:
    """No room left: everything is refused for the moment, and the same process goes on once there is room."""
    with _on_a_disk(stage) as (world, disk):
        for _ in range(stage.strikes):
            refused = _log(world).count("event=commits_refused")
            disk.fill()
            stage.injected += _until_refused(world, refused)
            disk.free()
            world.wait_for_answers(5)


def refuse_room(world: World) -> int:
    """As a full disk, by the shim: writes fail with ENOSPC for a while."""
    refused = _log(world).count("event=commits_refused")
    world.tell_server(fail=[shim.ON_WRITE, errno.ENOSPC, shim.FOR_EVER])
    injected = _until_refused(world, refused)
    world.tell_server(fail=[shim.ON_WRITE, errno.ENOSPC, 0])
    world.wait_for_answers(5)
    return int(injected)


def fail_once(world: World, operation: int) -> int:
    """One write or flush fails with EIO: the server must end itself, for nobody knows what is on the disk."""
    assert world.server is not None
    world.tell_server(fail=[operation, errno.EIO, 1])
    try:
        world.wait(lambda: not world.server.is_running(), "the server to end")  # type: ignore[union-attr]
    except Broken:
        if world.tell_server()["failures"]:
            world.verdict.others.append("the server went on after its disk had failed")
        world.kill_server()
    world.recover()
    world.wait_for_answers(3)
    return 1


def fail_flush(world: World) -> int:
    """EIO from fsync or fdatasync."""
    return fail_once(world, shim.ON_FLUSH)


def fail_write(world: World) -> int:
    """EIO from a write."""
    return fail_once(world, shim.ON_WRITE)


def lock_ledger(world: World) -> int:
    """Another program holds the database for longer than the server waits."""
    refused = _log(world).count("event=commits_refused")
    with closing(sqlite3.connect(world.db, isolation_level=None, timeout=HANG_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        injected = _until_refused(world, refused)
        time.sleep(world.rng.uniform(0, LOCKED_SECONDS))
        connection.execute("ROLLBACK")
    world.wait_for_answers(5)
    return int(injected)


def turn_read_only(stage: Stage) -> None:
    """The file system finds an error and turns read-only under the server.

    Not in the middle of a flush: Linux tells a flush that is under way just then that all is well, although its journal
    has been given up. No program can notice that, and the tills send again what such an HQ has lost.
    """
    with _on_a_disk(stage) as (world, disk):
        for _ in range(stage.strikes):
            assert world.server is not None
            world.server.signal(signal.SIGSTOP)
            world.wait(world.server.is_stopped, "the server to be stopped between two flushes")
            disk.turn_read_only()
            world.server.signal(signal.SIGCONT)
            world.breathe(0.1, 0.3)
            world.kill_server()
            disk.restart()
            world.recover()
            world.wait_for_answers(3)
            stage.injected += 1


def cut_power(stage: Stage) -> None:
    """The power of the server's disk fails; the server is killed, the journal is replayed."""
    with _on_a_disk(stage) as (world, disk):
        for _ in range(stage.strikes):
            assert world.server is not None
            world.freeze([world.server])
            disk.cut_power()
            world.kill_server()
            disk.restart()
            world.recover()
            world.wait_for_answers(10)
            stage.injected += 1


def cut_power_of_tills(stage: Stage) -> None:
    """The power of the tills' disk fails while HQ is away: whoever has a receipt must not have been forgotten."""
    with _on_a_disk(stage, tills=True) as (world, disk):
        for _ in range(stage.strikes):
            world.proxy.shut()
            world.breathe(0.1, 0.2)
            world.freeze(world.tills.values())
            disk.cut_power()
            for process in world.tills.values():
                process.kill()
            disk.restart()
            for name in world.tills:
                world.start_till(name)
            world.proxy.open()
            world.wait_for_answers(5)
            stage.injected += 1


def back_up(stage: Stage) -> None:
    """A backup is taken under load, by both ways SQLite knows; it proves, and holds all that had been answered."""
    with stage.world() as world:
        world.start()
        for number in range(stage.strikes):
            world.wait_for_answers(5)
            copy = world.folder / f"backup-{number}.db"
            world.acknowledged()
            answered = set(world.account.acknowledged)
            _take_backup(world, copy, by_vacuum=bool(number % 2), broken=stage.mutants.procedure)
            _judge_backup(world, copy, answered)
            stage.injected += 1


def _take_backup(world: World, copy: Path, *, by_vacuum: bool, broken: bool) -> None:
    if broken:
        shutil.copy(world.db, copy)  # without its write-ahead log, and while it is written
        return
    with closing(sqlite3.connect(f"file:{world.db}?mode=ro", uri=True, timeout=HANG_SECONDS)) as source:
        if by_vacuum:
            source.execute("VACUUM INTO ?", (str(copy),))
            return
        with closing(sqlite3.connect(copy)) as target:
            source.backup(target, pages=16, sleep=0.001)


def _judge_backup(world: World, copy: Path, answered: set[UUID]) -> None:
    try:
        world.verdict.lost += len(checker.missing(copy, answered))
        world.verdict.unbalanced += len(checker.unbalanced_levels(copy, checker.ledger_rows(copy)))
        world.verdict.unbalanced += verified(f"sqlite:///{copy}").mismatches
    except (sqlite3.Error, StoreError) as error:
        world.verdict.others.append(f"the backup cannot be used: {error}")


def restore_backup(world: World) -> int:
    """HQ is given an old backup: the tills know more than it does, and it gets all of it again."""
    backup = world.folder / "old.db"
    with closing(sqlite3.connect(f"file:{world.db}?mode=ro", uri=True, timeout=HANG_SECONDS)) as source:
        source.execute("VACUUM INTO ?", (str(backup),))
    world.wait_for_answers(40)
    world.kill_server()
    world.proxy.shut()
    for suffix in _SUFFIXES:
        Path(f"{world.db}{suffix}").unlink(missing_ok=True)
    backup.rename(world.db)
    world.start_server()
    world.proxy.open()
    world.wait_for_answers(5)
    return 1


SWALLOW = Mutants(server=("swallow_errors",))
ON_A_DISK = (facilities.loop_disk,)
SHIMMED = (facilities.compiler,)

KINDS = [
    Kind("disk_full", fill_disk, SWALLOW, ON_A_DISK),
    Kind("no_room", under_load(refuse_room), SWALLOW, SHIMMED),
    Kind("flush_eio", under_load(fail_flush), Mutants(server=("no_fail_stop",)), SHIMMED),
    Kind("write_eio", under_load(fail_write), Mutants(server=("no_fail_stop",)), SHIMMED),
    Kind("locked", under_load(lock_ledger), SWALLOW),
    Kind("read_only", turn_read_only, SWALLOW, (facilities.error_trigger,)),
    Kind("power_cut", cut_power, Mutants(server=("no_flush",)), ON_A_DISK),
    Kind("power_cut_of_tills", cut_power_of_tills, Mutants(till=("no_flush",)), ON_A_DISK),
    Kind("backup_under_load", back_up, Mutants(procedure=True)),
    Kind("old_backup_restored", under_load(restore_backup), Mutants(till=("never_again",))),
    Kind("write_orders_of_server", crash_states.play_server, Mutants(server=("no_flush",)), SHIMMED, on_copies=True),
    Kind("write_orders_of_till", crash_states.play_till, Mutants(till=("no_flush",)), SHIMMED, on_copies=True),
    Kind("flipped_bytes", flips.play, Mutants(procedure=True), on_copies=True),
]
