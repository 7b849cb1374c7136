"""Connections that are cut, slow, silent or full of rubbish; packets that get lost."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace

from tests.faults.harness.facilities import namespaces
from tests.faults.harness.raw import RawPeer, post_frame, postings_of
from tests.faults.harness.stage import Kind, Mutants, Stage, under_load
from tests.faults.harness.world import Plan, World

DAYS_40 = 40 * 86_400
_FRAMES_A_STRIKE = 4
_CONNECTIONS = 16
_FILES = 84
HALF_OPEN_SECONDS = 60.0
"""Ten times what the settings of `_vanish` give a connection to nobody."""
_PACKETS_A_STRIKE = 40
_RAW_SECONDS = 5.0
"""How long a peer waits that may never be let in."""
_GARBAGE = (
    b"\x00\xff\xfe garbage \x80\n",
    b'{"method":"post","id":1,"params":{"postings":NaN}}\n',
    b'{"method":"post","id":1,"params":{"postings":[' + b"[" * 50_000 + b"\n",
    b'{"method":"stock","id":18446744073709551616}\n',
    b'{"method":"hello","id":true,"params":{"terminal":"\\ud800"}}\n',
    b'{"jsonrpc":"1.0","method":7}\n',
    b"[]\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"JSN1\xff\xff\xff\xff\x00\x00\x00\x00",
    b'{"method":"hello","id":1,"params":{"terminal":"x","unheard":1}}\n',
)


def _mischief(name: str, control: Mutants, chance: float = 0.25, delay_seconds: float = 0.3, **settings: int) -> Kind:
    """A kind of the proxy's mischief, done to random frames until there was enough of it."""

    def play(stage: Stage) -> None:
        with stage.world(Plan(delay_seconds=delay_seconds, settings=settings)) as world:
            world.start()
            world.proxy.chances = {name: chance}
            wanted = stage.strikes * _FRAMES_A_STRIKE
            world.wait(lambda: world.proxy.done[name] >= wanted, f"{wanted} × {name}")
            stage.injected += world.proxy.done[name]

    return Kind(name, play, control)


def replay_old_frames(world: World) -> int:
    """What was sent long ago arrives again, through another connection: for another store, that is a conflict."""
    world.tell_server(clock_offset_seconds=DAYS_40)
    frames = list(world.proxy.frames)[: 2 * _FRAMES_A_STRIKE]
    with RawPeer(world.address) as peer:
        peer.hello("replayer", "store-0")
        for frame in frames:
            peer.send(post_frame(postings_of(frame)))
            for result in peer.answer()["result"]["results"]:
                if result["status"] not in ("posted", "duplicate", "conflict"):
                    world.verdict.others.append(f"an old frame was answered {result}")
    world.wait_for_answers(15)
    return len(frames)


def send_rubbish(world: World) -> int:
    """Bytes that are no requests: one typed error or a close for each, and nobody else notices."""
    garbage = [*_GARBAGE, os.urandom(200).replace(b"\n", b"") + b"\n"]
    for frame in garbage:
        with contextlib.suppress(OSError), RawPeer(world.address) as peer:
            peer.send(frame)
            if "error" not in (answer := peer.answer()):
                world.verdict.others.append(f"rubbish was answered with {answer}")
    world.wait_for_answers(2)
    return len(garbage)


def hold_connections(world: World, count: int = 2 * _CONNECTIONS) -> int:
    """Peers that connect and fall silent take every place; the tills have to connect anew."""
    peers = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            peers.append(RawPeer(world.address, _RAW_SECONDS))
    world.proxy.cut_all()
    try:
        before = world.acknowledged()
        world.wait(lambda: world.acknowledged() >= before + 3, "answers in spite of silent peers")
    finally:
        for peer in peers:
            peer.close()
    return 1


def use_up_files(world: World) -> int:
    """More connections than the server may open files."""
    return hold_connections(world, _FILES + 16)


ENROLLED = Plan(token="a-token-of-the-harness")


def _lose_packets(stage: Stage) -> None:
    with stage.link(ENROLLED) as (link, plan), stage.world(plan) as world:
        world.start()
        for _ in range(stage.strikes):
            enough = link.lost + _PACKETS_A_STRIKE
            link.loss = world.rng.uniform(0.05, 0.40)
            world.wait(lambda enough=enough: link.lost >= enough, "packets to get lost")  # type: ignore[misc]
            link.loss = 0.0
            stage.injected += 1
            world.wait_for_answers(3)


def _unplug(stage: Stage) -> None:
    with stage.link(ENROLLED) as (link, plan), stage.world(plan) as world:
        world.start()
        for _ in range(stage.strikes):
            link.loss = 1.0
            time.sleep(world.rng.uniform(0.8, 1.2))
            link.loss = 0.0
            stage.injected += 1
            world.wait_for_answers(3)


def _vanish(stage: Stage) -> None:
    """The tills' machine is gone without a word: the server must not keep its connections for ever."""
    plan = replace(ENROLLED, settings={"idle_seconds": 600, "keepalive_seconds": 4, "unacknowledged_seconds": 2})
    with stage.link(plan) as (link, plan), stage.world(plan) as world:
        world.start()
        link.loss = 1.0
        for process in world.tills.values():
            process.kill()
        world.wait(lambda: world.connections() == 0, "the server to give up connections to nobody", HALF_OPEN_SECONDS)
        link.loss = 0.0
        stage.injected += len(world.tills)
        for name in world.tills:
            world.start_till(name)
        world.wait_for_answers(3)


NEW_ID = Mutants(till=("new_id_on_retry",))
DONE_ON_SEND = Mutants(till=("done_on_send",))
NO_DEDUP = Mutants(server=("no_dedup",))
SILENT = Plan(settings={"idle_seconds": 1, "max_connections": _CONNECTIONS})
FEW_FILES = Plan(settings={"idle_seconds": 1}, server={"open_files": _FILES})

KINDS = [
    _mischief("cut_before_request", DONE_ON_SEND),
    _mischief("cut_mid_frame", DONE_ON_SEND),
    _mischief("cut_before_answer", NO_DEDUP),
    _mischief("duplicate", NO_DEDUP),
    _mischief("delay", NEW_ID, delay_seconds=0.9),
    _mischief("slow_reader", NEW_ID, delay_seconds=0.9),
    _mischief("trickle", DONE_ON_SEND, delay_seconds=1.4, frame_seconds=1),
    Kind("old_frames", under_load(replay_old_frames), Mutants(server=("dedup_window",))),
    Kind("rubbish", under_load(send_rubbish, Plan(settings={"frame_seconds": 1})), Mutants(server=("die_of_garbage",))),
    Kind("silent_peers", under_load(hold_connections, SILENT), Mutants(server=("no_idle_limit",))),
    Kind("descriptors", under_load(use_up_files, FEW_FILES), Mutants(server=("no_cap", "no_idle_limit"))),
    Kind("packet_loss", _lose_packets, NEW_ID, (namespaces,)),
    Kind("half_open", _vanish, Mutants(server=("no_keepalive",)), (namespaces,)),
    Kind("unplugged", _unplug, NEW_ID, (namespaces,)),
]
