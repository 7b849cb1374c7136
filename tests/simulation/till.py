"""A device: the production outbox and sender, driven over the simulated network. It crashes and comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import msgspec
from msgspec import Raw

from pos_client.protocol.errors import ErrorCode, OutboxError, RequestError
from pos_client.protocol.fields import Role
from pos_client.protocol.messages import (
    ByeParams,
    ByeResult,
    HelloResult,
    PingResult,
    PostingResult,
    PostResult,
    Request,
)
from pos_client.protocol.tick import Tick
from pos_client.protocol.uuid7 import Uuid7
from pos_client.protocol.wire import decode_reply, decode_result, encode, from_error_object
from pos_client.till.actions import Action, Connect, Idle, SendHello, SendPing, SendPost
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_records import ISOLATED, NewPosting, Parked
from pos_client.till.policy import DEATHS_BEFORE_PARKING, Identity, RetryPolicy
from pos_client.till.sender import Sender
from tests.simulation.book import Book, Created
from tests.simulation.database import TOKEN
from tests.simulation.disk import PATH, Disk, MemoryFile, TillCrash
from tests.simulation.network import HqSide, Link, Network
from tests.simulation.world import MILLISECOND, SECOND, START, Violation, World, nothing_happens

_REPLIES: dict[type, tuple[str, type[Any]]] = {
    SendHello: ("hello", HelloResult),
    SendPost: ("post", PostResult),
    SendPing: ("ping", PingResult),
}
_SIGNS = {"sale": -1, "return": 1, "receipt": 1, "adjustment": 1, "transfer_out": -1, "transfer_in": 1}


class Device:
    """A till or an operator's computer. `terminal` is who it says it is: two devices may say the same.

    Its process is `running` or not; its disk stays.
    """

    def __init__(
        self, name: str, terminal: str, role: Role, home: str, world: World, network: Network, hq: HqSide, book: Book
    ) -> None:
        self.name = name
        self.terminal = terminal
        self.role = role
        self.home = home
        self.disk: Disk
        self._old_disks: list[Disk] = []
        self.skew = 0
        self.drift_ppm = 0  # how much its wall clock is too fast or too slow
        self.offline = False
        self.running = False
        self.unbalanced = False  # its disk was copied or put back: its totals may differ from HQ's
        self.moved = False  # its disk began at another terminal
        self.goodbye: ByeResult | None = None
        self.knows_places = False  # its program names its terminal and its location, as HQ last told it
        self.careless = False  # its program does not compare chain heads: HQ has to notice copies
        self._boots = 0
        self._world = world
        self._network = network
        self._hq = hq
        self._book = book
        self._reply_wait = world.between((4 * SECOND, 30 * SECOND))
        self._link: Link | None = None
        self._asked: Action | ByeParams | None = None
        self._request = 0
        self._last_reply_is_stale = False
        self._wakes = 0
        self._process = 0
        self._unanswered: Counter[UUID] = Counter()
        self.reboot()

    # ------------------------------------------------------------------------------ life and death

    def clock(self) -> int:
        """What the device takes for the time."""
        now = self._world.now
        return now + self.skew + (now - START) * self.drift_ppm // 1_000_000

    def tick(self) -> Tick:
        """The device's tick clock, which runs true whatever is done to its wall clock."""
        return Tick(self._boot_id, (self._world.now - self._booted_at) // MILLISECOND)

    def reboot(self) -> None:
        """Switch the machine off and on: its tick clock begins anew."""
        self._boots += 1
        self._boot_id = uuid5(NAMESPACE_OID, f"{self.name} {self._boots}")
        self._booted_at = self._world.now

    def boot(self) -> None:
        """Start the till program on what the disk holds."""
        self.running, self.goodbye = True, None
        self._process += 1
        self.disk.at_point = nothing_happens
        self.new_id: Callable[[], UUID] = Uuid7(self.clock, self._world.random)
        disk = self.disk
        terminal = self.terminal if self.knows_places else None
        self.outbox = Outbox(
            PATH, terminal=terminal, clock=self.clock, ids=self.new_id, open_file=lambda *_: MemoryFile(disk)
        )
        self.sender = Sender(
            self.outbox,
            Identity(self.terminal, TOKEN),
            clock=self.clock,
            tick_clock=self.tick,
            timer=self._world.clock,
            rng=self._world.random,
            retry_policy=RetryPolicy(backoff_max_seconds=20.0),
            on_result=self._on_result,
        )
        if self.careless:
            self.outbox.recognises = lambda *_: True  # type: ignore[method-assign]
        self.disk.at_point = self.at_point
        self._wake_in(0)

    def crash(self, why: str, away: int | None = None) -> None:
        """Kill -9; the till program is started again after a while."""
        if not self.running:
            return
        self._world.reached(f"till crash: {why}")
        self.running = False
        self._forget_link()
        self.disk.close()
        delay = self._world.between((SECOND, 60 * SECOND)) if away is None else away
        self._world.at(delay, f"{self.name} boots", self._boot_again, self._process)

    def _boot_again(self, process: int) -> None:
        if process == self._process:
            if self._world.happens(0.5):
                self._world.reached("reboot")
                self.reboot()
            self.boot()

    def at_point(self, point: str) -> None:
        """The till is at a named point, and may crash there."""
        if self._world.happens(self._world.weather.till_crash):
            raise TillCrash(point)

    def swap_disk(self, disk: Disk) -> None:
        """Somebody puts another disk into the device and starts it."""
        self.running = False
        self._forget_link()
        self._old_disks.append(self.disk)
        self.disk = disk
        self.reboot()
        self.boot()

    def scrap_disks(self) -> None:
        """The run is over."""
        for disk in (self.disk, *self._old_disks):
            disk.scrap()

    def set_offline(self, offline: bool) -> None:
        """Cut the device's line, or mend it."""
        self.offline = offline
        if not offline and self.running:
            self._wake_in(0)

    # ------------------------------------------------------------------------------ selling

    def sell(self, make: Callable[[UUID], Created | None]) -> None:
        """A posting is made and stored; once `add` returns the cashier is told that it is safe."""
        if not self.running:
            return
        created = make(self.new_id())
        if created is None:
            return
        self._book.create(created)
        try:
            self.outbox.add(_new_posting(created, None if created.by_hand else self.tick()))
        except TillCrash as crash:
            self.crash(str(crash))
            return
        except OutboxError as error:
            self._world.note(f"{self.name}: {error}")
            return
        self._book.promised.add(created.id)
        self._wake_in(0)

    def redrive(self, wanted: Callable[[Parked], bool]) -> None:
        """Somebody looks after what was parked, and has what is `wanted` sent again."""
        if self.running:
            self._guarded(self._redrive, wanted)

    def _redrive(self, wanted: Callable[[Parked], bool]) -> None:
        for parked in list(self.outbox.parked()):
            if wanted(parked):
                self._world.reached("redriven")
                self.outbox.redrive(parked.id)
        self._wake_in(0)

    def say_goodbye(self) -> None:
        """Say `bye` with control totals, once the connection is free."""
        if self.sender.is_resting:  # it has said so before
            self.sender.connect_now()
            self._wake_in(0)
        if self.sender.hello is None or self._asked is not None:
            return
        self._asked = params = self.sender.bye_params()
        self._send("bye", params)

    # ------------------------------------------------------------------------------ sending

    def _wake_in(self, delay: int) -> None:
        self._wakes += 1
        self._world.at(delay, f"{self.name} wakes", self._wake, self._wakes)

    def _wake(self, number: int) -> None:
        if number == self._wakes and self.running and self._asked is None and not self.offline:
            self._guarded(self._next)

    def _guarded(self, step: Callable[..., None], *args: Any) -> None:
        """Run a step of the program; where it crashes it is gone, and so is its connection where it wants none."""
        try:
            step(*args)
        except TillCrash as crash:
            self.crash(str(crash))

    def _next(self) -> None:
        if self._link is not None and not self.sender.is_connected:
            self._forget_link()
        action = self.sender.next_action()
        if isinstance(action, Idle):
            self._wake_in(max(1, action.until - self._world.now))
            return
        self._asked = action
        if isinstance(action, Connect):
            self._forget_link()
            self._asked = action
            self._link = self._network.connect(self, self._hq)
            self._expect(10 * SECOND)
            return
        if isinstance(action, SendPost):
            self._unanswered.update(posting.id for posting in action.params.postings)
        self._send(_REPLIES[type(action)][0], action.params)

    def _send(self, method: str, params: msgspec.Struct) -> None:
        assert self._link is not None
        self._expect(self._reply_wait)
        frame = encode(Request(method, Raw(msgspec.json.encode(params)), self._request, "2.0"))
        self._network.to_hq(self._link, frame)
        if self._last_reply_is_stale:
            self._lose("an answer to another request")

    def _expect(self, wait: int) -> None:
        self._request += 1
        self._world.at(wait, f"{self.name} deadline", self._deadline, self._request, self._process)

    def _deadline(self, request: int, process: int) -> None:
        if process == self._process and request == self._request and self._asked is not None and self.running:
            self._world.reached("no answer in time")
            self._guarded(self._lose, "no answer within the deadline")

    def _lose(self, reason: str) -> None:
        asked, self._asked = self._asked, None
        self._forget_link()
        if asked is not None or self.sender.is_connected:
            self.sender.on_lost(reason)
        self._wake_in(0)

    def _forget_link(self) -> None:
        if self._link is not None:
            self._network.drop_till_end(self._link)
        self._link, self._asked, self._last_reply_is_stale = None, None, False

    def _on_result(self, result: PostingResult) -> None:
        """Only a posting that went unanswered again and again may be taken for a poisonous one."""
        if result.code == ISOLATED:
            self._world.reached("parked as poison")
            if self._unanswered[result.id] < DEATHS_BEFORE_PARKING:
                raise Violation("P5", f"{result.id} was parked after {self._unanswered[result.id]} lost frames")

    # ------------------------------------------------------------------------------ hearing

    def connected(self, link: Link) -> None:
        """The connection stands."""
        if link is self._link and isinstance(self._asked, Connect):
            self._asked = None
            self.sender.on_connected()
            self._guarded(self._next)

    def lost(self, link: Link) -> None:
        """The connection is over."""
        if link is self._link and self.running:
            self._guarded(self._lose, "the connection was lost")

    def heard(self, link: Link, line: bytes) -> None:
        """HQ said something."""
        if link is self._link and self.running and not self.offline:
            self._guarded(self._hear, line)

    def _hear(self, line: bytes) -> None:
        reply = decode_reply(line)
        asked = self._asked
        if asked is None:
            self._last_reply_is_stale = True
            return
        if reply.id != self._request:
            self._lose(f"HQ answered {reply.id}, not {self._request}")
            return
        self._asked = None
        if not isinstance(reply.error, msgspec.UnsetType):
            error = from_error_object(reply.error)
            self._world.reached(f"told {error.code.name}")
            self._told_error(asked, error)
        elif isinstance(asked, ByeParams):
            self.goodbye = decode_result(reply, ByeResult)
            self.sender.on_bye()
        else:
            self._told(asked, decode_result(reply, _REPLIES[type(asked)][1]))
        self._next()

    def _told_error(self, asked: Action | ByeParams, error: RequestError) -> None:
        if isinstance(asked, ByeParams):
            self.sender.on_lost(str(error))
            return
        self.sender.on_error(error)
        if error.code is ErrorCode.fork:
            self._world.reached("new lineage after a fork")

    def _told(self, asked: Action, result: Any) -> None:
        if isinstance(asked, SendHello | SendPing | SendPost) and isinstance(asked.params.boot, UUID):
            self._book.boot_heard(self.terminal, asked.params.boot)
        if isinstance(asked, SendHello):
            self.sender.on_hello(result)
            if self.knows_places:
                self.home = result.location
            if not self.sender.is_connected:
                self._world.reached("new lineage after hello")
        elif isinstance(asked, SendPost):
            self._book.read([(item.id, bytes(item.body)) for item in asked.params.postings], result.results)
            self._book.clocks_corrected(self.terminal, asked.params.postings, result.results, self._world.now)
            for item in asked.params.postings:
                del self._unanswered[item.id]
            self.at_point("answer read, not settled")
            if result.holes:
                self._world.reached("hole seen")
            for each in result.results:
                self._world.reached(each.status)
                for flag in each.flags:
                    self._world.reached(f"flag {flag}")
            self.sender.on_post(result)
            if not self.sender.is_connected:
                self._world.reached("a till finds that hq has forgotten" + (" and has moved" if self.moved else ""))
        else:
            self.sender.on_pong(result)


def _new_posting(created: Created, tick: Tick | None) -> NewPosting:
    sign = 0 if created.body is None else _SIGNS.get(created.body.type, 0)
    quantity = sign * sum(created.quantities)
    return NewPosting(created.id, created.raw, created.occurred_at, quantity, tick=tick)
