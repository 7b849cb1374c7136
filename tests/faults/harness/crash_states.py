"""Every order in which a disk may have done what it was asked: crash states of the real write path.

A process runs the production store (or outbox) with each of its writes, flushes and deletions recorded, and a mark for
each posting that was acknowledged. From the recording, disks are made up as a power cut may leave them: what was
flushed is there; of what was not, a random part, in random order, some of it torn between sectors.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from inventory_server.config import Settings
from inventory_server.domain.door import perform
from inventory_server.domain.requests import Hello, Item, Post, Welcome
from inventory_server.store import open_store
from inventory_server.store.database import sqlite
from pos_client.protocol.messages import Body, Line, PostingResult
from pos_client.protocol.units import instant, micros
from pos_client.protocol.wire import check_body, encode_body
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_records import NewPosting
from tests.faults.harness import checker, server_mutants, shim, till_mutants
from tests.faults.harness.shim import Operation
from tests.faults.harness.stage import Stage
from tests.support.waiting import HANG_SECONDS

MODULE = "tests.faults.harness.crash_states"
POSTINGS = 90
STATES_A_STRIKE = 40
CHECKPOINT_PAGES = 12
_SECTOR = 512

Judge = Callable[[Path, Sequence[UUID]], str | None]
"""Looks at a disk on which so many postings had been acknowledged; says what is wrong, None where nothing is."""


def play_server(stage: Stage) -> None:
    """Crash states of the ledger."""
    _play(stage, "ledger", stage.mutants.server, judge_ledger)


def play_till(stage: Stage) -> None:
    """Crash states of the outbox."""
    _play(stage, "outbox", stage.mutants.till, judge_outbox)


def _play(stage: Stage, what: str, mutants: Sequence[str], judge: Judge) -> None:
    stage.folder.mkdir(parents=True, exist_ok=True)
    base = stage.folder / "base.db"
    if what == "ledger":
        shutil.copy(stage.farm.empty_ledger(), base)
    options = {"what": what, "folder": str(stage.folder), "seed": stage.rng.getrandbits(32), "mutants": list(mutants)}
    process = stage.farm.start(MODULE, options, stage.folder / "recorder.log")
    if process.wait(HANG_SECONDS) != 0:
        raise RuntimeError(f"the recording failed, see {stage.folder / 'recorder.log'}")
    steps = list(shim.recorded(stage.folder / "recording"))
    ids = [UUID(line) for line in (stage.folder / "ids").read_text().split()]
    for _ in range(stage.strikes * STATES_A_STRIKE):
        cut = stage.rng.randrange(len(steps) + 1)
        acknowledged = sum(step.kind == "m" for step in steps[:cut])
        with tempfile.TemporaryDirectory() as folder:
            disk = Path(folder)
            for name, content in disk_after(base, steps[:cut], stage.rng).items():
                (disk / Path(name).name).write_bytes(content)
            found = judge(disk / "data.db", ids[:acknowledged])
        stage.injected += 1
        if found is not None:
            stage.verdict.lost += 1
            stage.verdict.others = [*stage.verdict.others[:4], f"power cut after step {cut}: {found}"]
    stage.verdict.acknowledged += len(ids)


# ---------------------------------------------------------------------------------- what may be on the disk


def disk_after(base: Path, steps: Sequence[Operation], rng: random.Random) -> dict[str, bytearray]:
    """The files as a power cut after `steps` may leave them; `base` is what was there before the first."""
    files = {"data.db": bytearray(base.read_bytes())}
    waiting: list[Operation] = []
    for step in steps:
        if step.kind == "s":
            for earlier in [other for other in waiting if other.path == step.path]:
                _apply(files, earlier)
            waiting = [other for other in waiting if other.path != step.path]
        elif step.kind != "m":
            waiting.append(step)
    fate = rng.choice(("all lost", "all there", "some", "some torn"))
    if fate == "all lost":
        return files
    if fate != "all there":
        waiting = [step for step in waiting if rng.random() < 0.6]
        rng.shuffle(waiting)
    for step in waiting:
        torn = fate == "some torn" and step.kind == "w" and len(step.data) > _SECTOR and rng.random() < 0.5
        kept = rng.randrange(1, len(step.data) // _SECTOR + 1) * _SECTOR if torn else len(step.data)
        _apply(files, step._replace(data=step.data[:kept]))
    return files


def _apply(files: dict[str, bytearray], step: Operation) -> None:
    name = Path(step.path).name
    if step.kind == "d":
        files.pop(name, None)
        return
    content = files.setdefault(name, bytearray())
    if step.kind == "t":
        del content[step.offset :]
        return
    if len(content) < step.offset:
        content.extend(bytes(step.offset - len(content)))
    content[step.offset : step.offset + len(step.data)] = step.data


def judge_ledger(db: Path, acknowledged: Sequence[UUID]) -> str | None:
    """What was answered is there once, nothing is half there, and the levels follow from it."""
    try:
        with closing(sqlite3.connect(db)) as connection:
            if (found := connection.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                return str(found)
            position = connection.execute("SELECT position FROM ledger").fetchone()[0]
        rows = checker.ledger_rows(db)
        unbalanced = checker.unbalanced_levels(db, rows)
    except sqlite3.Error as error:
        return repr(error)
    if len(rows) != position or rows != sorted(rows, key=lambda row: row[3]):
        return f"{len(rows)} postings at position {position}"
    if gone := set(acknowledged) - {row[0] for row in rows}:
        return f"{len(gone)} acknowledged postings are gone"
    return unbalanced[0] if unbalanced else None


def judge_outbox(db: Path, acknowledged: Sequence[UUID]) -> str | None:
    """Whatever had a receipt is there, and the numbers of the lineage have no gap."""
    try:
        with closing(sqlite3.connect(db)) as connection:
            if (found := connection.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                return str(found)
            rows = connection.execute("SELECT id, seq FROM posting ORDER BY seq").fetchall()
    except sqlite3.Error as error:
        return repr(error)
    if [row[1] for row in rows] != list(range(1, len(rows) + 1)):
        return f"{len(rows)} postings with a hole in their numbers"
    if gone := set(acknowledged) - {UUID(bytes=row[0]) for row in rows}:
        return f"{len(gone)} sold postings are gone"
    return None


# ---------------------------------------------------------------------------------- the process that is recorded


def run(options: Mapping[str, Any]) -> int:
    """Record the write path of a ledger or an outbox."""
    folder, rng = Path(options["folder"]), random.Random(options["seed"])
    (_record_ledger if options["what"] == "ledger" else _record_outbox)(folder, rng, options)
    return 0


def _record_ledger(folder: Path, rng: random.Random, options: Mapping[str, Any]) -> None:
    for name in options["mutants"]:
        server_mutants.MUTANTS[name](options)
    sqlite.PRAGMAS["wal_autocheckpoint"] = CHECKPOINT_PAGES
    db = folder / "data.db"
    shutil.copy(folder / "base.db", db)
    _begin(folder)
    store = open_store(f"sqlite:///{db}", Settings(), lambda: time.time_ns() // 1_000)
    welcome = perform(store, Hello("till-0", None, True, "store-0", UUID(int=7), None, None))
    assert isinstance(welcome, Welcome)
    done: list[UUID] = []
    while len(done) < POSTINGS:
        items = [_item(rng, len(done) + seq) for seq in range(1, rng.randint(1, 6) + 1)]
        perform(store, Post(welcome.speaker, items, None))
        for item in items:
            done.append(item.id)
            shim.mark(len(done))
    (folder / "ids").write_text("\n".join(map(str, done)))
    store.close()


def _record_outbox(folder: Path, rng: random.Random, options: Mapping[str, Any]) -> None:
    for name in options["mutants"]:
        till_mutants.MUTANTS[name](options)
    base, db = folder / "base.db", folder / "data.db"
    Outbox(base).close()
    db.write_bytes(base.read_bytes())
    _begin(folder)
    outbox = Outbox(db)
    outbox._file._connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    done: list[UUID] = []
    while len(done) < POSTINGS:
        item = _item(rng, len(done) + 1)
        outbox.add(NewPosting(item.id, item.raw, 0, 0))
        done.append(item.id)
        shim.mark(len(done))
        if rng.random() < 0.3:
            outbox.settle([PostingResult(entry.id, "posted") for entry in outbox.next_batch(4, 1 << 20)], "0" * 64)
    (folder / "ids").write_text("\n".join(map(str, done)))


def _begin(folder: Path) -> None:
    shim.scope(str(folder / "data.db"))
    shim.record(folder / "recording")


def _item(rng: random.Random, seq: int) -> Item:
    lines = [Line(quantity=rng.randint(1, 9), sku=f"sku-{rng.randrange(5)}") for _ in range(rng.randint(1, 3))]
    ext = msgspec.Raw(msgspec.json.encode({"padding": "x" * rng.randint(1, 3_000)}))
    kind: Any = rng.choice(("sale", "sale", "return", "count"))
    body = Body(kind, instant(micros(instant(0)) + seq * 1_000_000), lines, reference=f"r{seq}", ext=ext)
    raw = encode_body(body)
    return Item(UUID(int=rng.getrandbits(128)), seq, raw, hashlib.sha256(raw).digest(), body, check_body(body), None)
