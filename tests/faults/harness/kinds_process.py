"""Processes that are killed, stopped and told to end; clocks that jump."""

from __future__ import annotations

import signal
import time

from tests.faults.harness.server_process import POINTS
from tests.faults.harness.stage import Kind, Mutants, under_load
from tests.faults.harness.world import Plan, World
from tests.support.proxy import MISCHIEF

LONG_SECONDS = 0.9
"""Longer than a till under test waits for an answer."""
_HOUR, _DAY = 3_600, 86_400
_POINT_CONTROLS = {
    "after_insert": Mutants(server=("no_transaction",)),
    "before_commit": Mutants(server=("answer_early",)),
    "after_commit": Mutants(server=("no_dedup",)),
    "before_answer": Mutants(server=("no_dedup",)),
}


def kill_server(world: World) -> int:
    """kill -9 of the server at a random moment."""
    world.kill_server()
    world.recover()
    world.wait_for_answers(3)
    return 1


def kill_server_at(world: World, point: str) -> int:
    """The server kills itself at a named point of its write path."""
    world.tell_server(kill_at=point, countdown=world.rng.randint(1, 5))
    assert world.server is not None
    world.wait(lambda: not world.server.is_running(), f"the server to reach {point}")  # type: ignore[union-attr]
    world.recover()
    world.wait_for_answers(3)
    return 1


def end_server(world: World) -> int:
    """SIGTERM under load: no new work, what is held is committed and answered."""
    assert world.server is not None
    world.server.signal(signal.SIGTERM)
    world.wait(lambda: not world.server.is_running(), "the server to end")  # type: ignore[union-attr]
    if code := world.server.wait(0):
        world.verdict.others.append(f"the server ended with code {code}")
    world.recover()
    world.wait_for_answers(3)
    return 1


def stop_server(world: World) -> int:
    """SIGSTOP of the server for longer than the tills wait, then SIGCONT."""
    assert world.server is not None
    world.server.signal(signal.SIGSTOP)
    time.sleep(LONG_SECONDS * world.rng.uniform(1.0, 1.3))
    world.server.signal(signal.SIGCONT)
    world.wait_for_answers(3)
    return 1


def kill_till(world: World) -> int:
    """kill -9 of a till at a random moment."""
    name = world.rng.choice(sorted(world.tills))
    world.tills[name].kill()
    world.start_till(name)
    world.wait_for_answers(3)
    return 1


def kill_till_before_receipt(world: World) -> int:
    """A till kills itself after the sale is stored and before anybody is told so."""
    name = world.rng.choice(sorted(world.tills))
    world.tell_till(name, may_die=True, kill_before_receipt=world.rng.randint(1, 5))
    world.wait(lambda: not world.tills[name].is_running(), f"{name} to kill itself")
    world.start_till(name)
    world.wait_for_answers(3)
    return 1


def stop_till(world: World) -> int:
    """SIGSTOP of a till until the server has given up its connection, then SIGCONT."""
    name = world.rng.choice(sorted(world.tills))
    world.tills[name].signal(signal.SIGSTOP)
    time.sleep(world.rng.uniform(1.2, 1.5))
    world.tills[name].signal(signal.SIGCONT)
    world.wait_for_answers(3)
    return 1


def jump_server_clock(world: World) -> int:
    """The server's clock jumps: back, ahead, to 1970."""
    jumps = (-_HOUR, _HOUR, _DAY, -_DAY, 30 * _DAY, -int(time.time()))
    world.tell_server(clock_offset_seconds=world.rng.choice(jumps))
    world.wait_for_answers(8)
    return 1


def jump_till_clock(world: World) -> int:
    """A till's clock jumps: most often back over the time it has just been through."""
    name = world.rng.choice(sorted(world.tills))
    offset = world.rng.choice((-_HOUR, _HOUR, _DAY, -int(time.time()) + _DAY, world.rng.uniform(-1.0, 0.0)))
    world.tell_till(name, clock_offset_seconds=offset)
    world.wait_for_answers(12)
    world.tell_till(name, clock_offset_seconds=offset - world.rng.uniform(0.02, 0.2))
    world.wait_for_answers(8)
    return 2


def anything(world: World) -> int:
    """Whatever comes: several kinds one after another, while the network does its mischief."""
    world.proxy.chances = dict.fromkeys(MISCHIEF, 0.02)
    strikes = (kill_server, end_server, stop_server, kill_till, kill_till_before_receipt, jump_server_clock)
    done = sum(world.proxy.done.values())
    injected = sum(strike(world) for strike in world.rng.sample(strikes, 3))
    return injected + sum(world.proxy.done.values()) - done


def _at(point: str) -> Kind:
    return Kind(f"server_kill_{point}", under_load(lambda world: kill_server_at(world, point)), _POINT_CONTROLS[point])


KINDS = [
    Kind("server_kill", under_load(kill_server), Mutants(server=("answer_early",))),
    *(_at(point) for point in POINTS),
    Kind("server_term", under_load(end_server), Mutants(server=("abrupt_end",))),
    Kind("server_stop", under_load(stop_server), Mutants(till=("new_id_on_retry",))),
    Kind("till_kill", under_load(kill_till), Mutants(till=("receipt_first",))),
    Kind("till_kill_before_receipt", under_load(kill_till_before_receipt), Mutants(till=("ring_again",))),
    Kind("till_stop", under_load(stop_till, Plan(settings={"idle_seconds": 1})), Mutants(till=("done_on_send",))),
    Kind("server_clock", under_load(jump_server_clock), Mutants(server=("clock_as_it_is",))),
    Kind("everything_at_once", under_load(anything, Plan(tills=3)), Mutants(server=("no_dedup",))),
    Kind("till_clock", under_load(jump_till_clock), Mutants(till=("clock_ids",))),
]
