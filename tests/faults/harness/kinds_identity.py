"""The same id, the same outbox, the same backup twice: who is who, and what HQ holds of whom."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec

from pos_client.protocol.messages import Body, Line
from pos_client.protocol.units import instant
from pos_client.protocol.wire import encode_body
from tests.faults.harness import checker
from tests.faults.harness.raw import RawPeer, post_frame
from tests.faults.harness.stage import Kind, Mutants, Stage, under_load
from tests.faults.harness.world import Plan, World

PEERS = 8
_DAY = 86_400
CROWD = 14
LATE_DAYS = 30
_SUFFIXES = ("", "-wal", "-shm")


def made_up_body(world: World) -> bytes:
    """A sale of a till that exists nowhere else."""
    now = instant(time.time_ns() // 1_000)
    line = Line(quantity=world.rng.randint(1, 5), sku=f"sku-{world.rng.randrange(12)}")
    return encode_body(Body("sale", now, [line], reference=f"raw-{uuid4()}"))


def same_id(world: World, bodies: list[bytes]) -> int:
    """One id in several connections at the same moment."""
    posting_id = uuid4()
    for body in bodies:
        world.account.expect(posting_id, body.decode())
    peers = [RawPeer(world.address) for _ in bodies]
    answers: list[Any] = [None] * len(peers)
    together = threading.Barrier(len(peers))

    def post(number: int) -> None:
        frame = post_frame([(str(posting_id), bodies[number])])
        together.wait()
        peers[number].send(frame)
        answers[number] = peers[number].answer()["result"]["results"][0]

    for number, peer in enumerate(peers):
        peer.hello(f"raw-{number}", "store-0")
    threads = [threading.Thread(target=post, args=(number,)) for number in range(len(peers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for peer in peers:
        peer.close()
    _judge_same_id(world, posting_id, bodies, answers)
    return 1


def _judge_same_id(world: World, posting_id: UUID, bodies: list[bytes], answers: list[Any]) -> None:
    held = [(row[1], row[3]) for row in checker.ledger_rows(world.db) if row[0] == posting_id]
    for body, answer in zip(bodies, answers, strict=True):
        if answer["status"] in ("posted", "duplicate"):
            if (body, answer["position"]) not in held:
                world.verdict.lost += 1
                world.verdict.others.append(f"{answer} is about another posting than the one at {held}")
        elif answer["status"] == "conflict":
            world.account.refused.add(body.decode())
    if [answer["status"] for answer in answers].count("posted") != 1:
        world.verdict.others.append(f"one id, several answers: {[answer['status'] for answer in answers]}")


def same_id_same_body(world: World) -> int:
    """The same posting in eight connections at once: posted once, and everybody hears of that one."""
    return same_id(world, [made_up_body(world)] * PEERS)


def same_id_other_body(world: World) -> int:
    """Eight contents under one id at once: one is posted, the others are told so and kept."""
    return same_id(world, [made_up_body(world) for _ in range(PEERS)])


def reorder(world: World) -> int:
    """The second frame of a till overtakes the first on another connection."""
    lineage, terminal = str(uuid4()), f"raw-{uuid4().hex[:8]}"
    items = [(str(uuid4()), made_up_body(world), seq) for seq in range(1, 7)]
    for posting_id, body, _ in items:
        world.account.expect(UUID(posting_id), body.decode())
    first, second = (_numbered(items[at : at + 3]) for at in (0, 3))
    with RawPeer(world.address) as old, RawPeer(world.address) as new:
        old.hello(terminal, "store-0", lineage=lineage)
        new.hello(terminal, "store-0", lineage=lineage)
        for peer, frame in ((new, second), (old, first), (new, first), (new, second)):
            peer.send(frame)
            answer = peer.answer()
            if peer is old:
                if answer.get("error", {}).get("data", {}).get("name") != "fenced":
                    world.verdict.others.append(f"a fenced connection was answered {answer}")
                continue
            for result in answer["result"]["results"]:
                world.account.answers[UUID(result["id"])] = result["status"]
    return 1


def _numbered(items: list[tuple[str, bytes, int]]) -> bytes:
    postings = [{"id": id_, "seq": seq, "body": msgspec.Raw(body)} for id_, body, seq in items]
    return msgspec.json.encode({"method": "post", "id": 1, "params": {"postings": postings}}) + b"\n"


def _copy(source: Path, target: Path) -> None:
    for suffix in _SUFFIXES:
        Path(f"{target}{suffix}").unlink(missing_ok=True)
        if Path(f"{source}{suffix}").exists():
            shutil.copy(f"{source}{suffix}", f"{target}{suffix}")


def _gather(world: World, name: str) -> None:
    """Let `name` sell while HQ cannot be reached."""
    world.proxy.shut()
    world.wait(lambda: world.tell_till(name)["pending"] >= 8, f"{name} to have something pending")


def clone_outbox(world: World) -> int:
    """A till's disk is copied with postings still pending, and both devices go on under one name."""
    number = len(world.tills)
    _gather(world, "till-0")
    world.tills["till-0"].kill()
    _copy(world.folder / "till-0.db", world.folder / f"clone-{number}.db")
    world.proxy.open()
    world.start_till("till-0")
    world.start_till(f"clone-{number}", terminal="till-0", location="store-0")
    world.wait_for_answers(25)
    return 1


def restore_outbox(world: World) -> int:
    """A till gets an older image of its disk back: HQ knows more of it than it does itself."""
    _gather(world, "till-0")
    world.tills["till-0"].kill()
    _copy(world.folder / "till-0.db", world.folder / "image.db")
    world.proxy.open()
    world.start_till("till-0")
    world.wait_for_answers(15)
    _exchange(world, lambda outbox: _copy(world.folder / "image.db", outbox))
    return 1


def wipe_outbox(world: World) -> int:
    """A till gets an empty disk."""

    def wipe(outbox: Path) -> None:
        for suffix in _SUFFIXES:
            Path(f"{outbox}{suffix}").unlink(missing_ok=True)

    _exchange(world, wipe)
    return 1


def _exchange(world: World, change: Any) -> None:
    """Change the outbox of till-0 after it has delivered everything: what is lost with a disk is nobody's fault."""
    world.tell_till("till-0", selling=False)
    world.wait(lambda: world.tell_till("till-0")["pending"] == 0, "till-0 to deliver")
    world.tills["till-0"].kill()
    change(world.folder / "till-0.db")
    world.start_till("till-0")
    world.wait_for_answers(15)


def come_back_late(stage: Stage) -> None:
    """Many tills have been offline for 30 days, and all come back at the same moment."""
    plan = Plan(tills=0, till={"pending_max": 60, "pause_seconds": 0.0})
    with stage.world(plan) as world:
        world.start()
        world.proxy.shut()
        names = [f"late-{number}" for number in range(CROWD)]
        for name in names:
            world.start_till(name, clock_offset_seconds=-LATE_DAYS * _DAY)
        world.wait(lambda: all(world.tell_till(name)["pending"] >= 30 for name in names), "the tills to sell offline")
        for name in names:
            world.tell_till(name, clock_offset_seconds=0)
        world.proxy.open()
        stage.injected += len(names)
        world.wait_for_answers(100)


def mix_versions(world: World) -> int:
    """Bodies of newer programs: `ext` comes back untouched, an unknown field is refused by name, for ever the same."""
    posting_id = uuid4()
    body = made_up_body(world).replace(b'"type"', b'"colour":"red","type"', 1)
    world.account.expect(posting_id, body.decode())
    world.account.refused.add(body.decode())
    said = []
    for number in range(2):
        with RawPeer(world.address) as peer:
            peer.hello(f"newer-{number}", "store-0")
            peer.send(post_frame([(str(posting_id), body)]))
            said.append(peer.answer()["result"]["results"][0])
    if said[0] != said[1] or said[0]["status"] != "rejected" or "colour" not in said[0]["reason"]:
        world.verdict.others.append(f"an unknown field was answered {said}")
    with closing(sqlite3.connect(f"file:{world.db}?mode=ro", uri=True)) as connection:
        if not connection.execute("SELECT 1 FROM rejection WHERE id = ?", (posting_id.bytes,)).fetchone():
            world.verdict.others.append(f"the refusal of {posting_id} is not recorded")
    world.wait_for_answers(5)
    return 1


ONE_BY_ONE = Plan(settings={"commit_movements_max": 1})
SEQ_IS_IDENTITY = Mutants(server=("seq_is_identity",))

KINDS = [
    Kind("same_id_8_times", under_load(same_id_same_body, ONE_BY_ONE), Mutants(server=("no_dedup",))),
    Kind("same_id_other_body", under_load(same_id_other_body), Mutants(server=("merge_bodies",))),
    Kind("reordered", under_load(reorder), Mutants(server=("high_water",))),
    Kind("cloned_outbox", under_load(clone_outbox), SEQ_IS_IDENTITY),
    Kind("restored_outbox", under_load(restore_outbox), SEQ_IS_IDENTITY),
    Kind("wiped_outbox", under_load(wipe_outbox), SEQ_IS_IDENTITY),
    Kind("thirty_days_offline", come_back_late, Mutants(server=("refuse_stale",))),
    Kind("mixed_versions", under_load(mix_versions, Plan(till={"extended": True})), Mutants(server=("drop_ext",))),
]
