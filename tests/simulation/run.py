"""One run: a stormy day, then a calm one in which everything must arrive, then the checks."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from inventory_server.config import Settings
from inventory_server.store.verify.verify import prove
from pos_client.protocol.fields import Role
from pos_client.protocol.uuid7 import Uuid7
from pos_client.till.outbox_records import ISOLATED, Parked
from tests.simulation import incidents
from tests.simulation.book import Book
from tests.simulation.checks import check
from tests.simulation.database import CrashingConnection
from tests.simulation.disk import Disk
from tests.simulation.hq import Hq
from tests.simulation.network import Network
from tests.simulation.past_checks import Moment, check_carried, check_past, situations_of
from tests.simulation.reader import Reader
from tests.simulation.till import Device
from tests.simulation.trade import BARCODES, LOCATIONS, SKUS, Trade, home_of
from tests.simulation.watch import WatchedLedger
from tests.simulation.world import CALM, DAY, HOUR, MILLISECOND, MINUTE, SECOND, START, Violation, Weather, World
from tests.support.model import Model

TILLS = tuple(f"till-{number}" for number in range(1, 9))
OPERATOR, READER = "operator-1", "reader-1"
CALM_DEADLINE = 6 * DAY
PROOF_EVERY = 16
"""One run in so many also runs the store's own proof, which costs as much as the run itself."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run; `violation` is None where every promise was kept."""

    seed: int
    events: int
    virtual_micros: int
    trace_hash: str
    sometimes: dict[str, int]
    violation: str | None = None
    rule: str | None = None


class Machinery:
    """What is made once and used by many runs: databases and rendered statements."""

    def __init__(self) -> None:
        self._clock: Callable[[], int] = lambda: 0
        self._databases: dict[bool, CrashingConnection] = {}
        self._ledgers: dict[Settings, WatchedLedger] = {}

    def database(self, clock: Callable[[], int], unique_ids: bool) -> CrashingConnection:
        """A fresh database; `clock` is HQ's from now on."""
        self._clock = clock
        if unique_ids not in self._databases:
            terminals: list[tuple[str, Role, str]] = [(till, "till", home_of(till)) for till in TILLS]
            terminals += [(OPERATOR, "operator", LOCATIONS[0]), (READER, "reader", LOCATIONS[0])]
            self._databases[unique_ids] = CrashingConnection(terminals, LOCATIONS, SKUS, BARCODES, unique_ids)
        self._databases[unique_ids].reset()
        return self._databases[unique_ids]

    def ledger(self, settings: Settings) -> WatchedLedger:
        """A ledger with these settings; its statements are rendered once."""
        used = replace(Settings(), forbid_negative=settings.forbid_negative)
        if used not in self._ledgers:
            self._ledgers[used] = WatchedLedger(used, lambda: self._clock())
        self._ledgers[used].begin()
        return self._ledgers[used]


@cache
def machinery() -> Machinery:
    """The machinery of this process."""
    return Machinery()


class Run:
    """A simulated world and everybody in it."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None, unique_ids: bool = True) -> None:
        self.world = World(seed, trace)
        self.network = Network(self.world)
        self.book = Book()
        world = self.world
        self.settings = Settings(
            commit_movements_max=3 * world.between((3, 40)),
            max_postings=world.between((2, 12)),
            queue_postings_max=world.between((4, 60)),
            heartbeat_seconds=86_400,
            forbid_negative=world.happens(0.3),
        )
        self._database = machinery().database(lambda: self.hq.clock(), unique_ids)
        self._ledger = machinery().ledger(self.settings)
        self.hq = Hq(world, self.network, self._database, self._ledger, self.settings)
        self.hq.poison_cuts = world.happens(0.5)
        self.with_merges = world.happens(0.4)
        self.with_moves = world.happens(0.2)
        self.trade = Trade(
            world,
            self.book,
            odd=world.random.choice((0.0, 0.0, 0.0, 0.04)),
            with_documents=world.happens(0.4),
            with_merges=self.with_merges,
            with_moves=self.with_moves,
            whole_seconds=world.happens(0.3),
        )
        self.devices: list[Device] = []
        self.careless = world.happens(0.2)
        self.orderly = world.happens(0.1)  # no disk is copied or lost, no clock set, no frame doubled
        self.new_id = Uuid7(self.hq.clock, world.random)
        self._planned = 0
        self.reader = Reader(READER, world, self.network, self.hq, self.book)

    # ------------------------------------------------------------------------------ who takes part

    def add_device(self, name: str, terminal: str, role: Role, home: str, disk: Disk | None = None) -> Device:
        """Put a device into a shop."""
        device = Device(name, terminal, role, home, self.world, self.network, self.hq, self.book)
        device.disk = Disk() if disk is None else disk
        device.unbalanced = disk is not None
        device.careless = self.careless
        device.knows_places = self.with_moves and role == "till"
        device.skew = self.world.between((-5 * MINUTE, 5 * MINUTE)) if self.world.happens(0.5) else 0
        device.drift_ppm = self.world.between((-300, 300)) if self.world.happens(0.3) else 0
        self.devices.append(device)
        device.boot()
        self._plan_sales(device, self.world.between((3, 6)))
        return device

    def spare_terminal(self, home: str) -> str | None:
        """An enrolled till that no device uses: one of the same shop, where nobody can be allowed to deliver for it."""
        used = {device.terminal for device in self.devices}
        return next((till for till in TILLS if till not in used and (self.with_moves or home_of(till) == home)), None)

    def sell(self, device: Device) -> None:
        """Something happens at a device's counter."""
        device.sell(
            lambda new_id: self.trade.posting(new_id, device.terminal, device.role, device.home, device.clock())
        )

    def _plan_sales(self, device: Device, number: int) -> None:
        moment = 0
        rush = self.world.happens(0.3)
        for _ in range(number):
            moment += self.world.between((0, SECOND) if rush else (SECOND, 60 * SECOND))
            self.plan(moment, f"{device.name} sells", self.sell, device)

    def plan(self, delay: int, what: str, action: Callable[..., None], *args: object) -> None:
        """Have something happen to the shops; no run is over before all of it has."""
        self._planned += 1
        self.world.at(delay, what, self._carry_out, action, args)

    def _carry_out(self, action: Callable[..., None], args: tuple[object, ...]) -> None:
        self._planned -= 1
        action(*args)

    # ------------------------------------------------------------------------------ phases

    def storm(self) -> None:
        """Trade while things go wrong."""
        world = self.world
        world.weather = _weather(world, self.orderly)
        for till in TILLS[: world.between((2, 3))]:
            self.add_device(till, till, "till", home_of(till))
        if self.with_merges or world.happens(0.5):
            self.add_device(OPERATOR, OPERATOR, "operator", LOCATIONS[0])
        if self.orderly or world.happens(0.3):
            for _ in range(6 if self.orderly else 2):
                self.plan(world.between((10 * SECOND, 5 * MINUTE)), "reader looks", self.reader.look)
        incidents.plan(self)
        world.run(lambda: False, world.now + 5 * MINUTE)

    def calm(self) -> None:
        """Nothing goes wrong any more: whatever was sold must arrive."""
        world = self.world
        world.reached("calm")
        world.weather = CALM
        self.hq.boot()
        deadline = world.now + CALM_DEADLINE
        for device in self.devices:
            world.at(HOUR, f"{device.name} sells on", self._sell_on, device)
        if not world.run(self._is_drained, deadline):
            raise Violation("P5", "not everything arrived in calm weather")
        for device in self.devices:
            device.redrive(self._is_innocent)
        if not world.run(self._is_drained, deadline + DAY):
            raise Violation("P5", "not everything arrived in calm weather, once sent again")
        self._say_goodbye()
        for device in self.devices:
            device.crash("closing time", away=10_000 * DAY)
        world.run(lambda: not self.network.in_flight, world.now + 10 * DAY)
        world.run(lambda: False, world.now + HOUR)

    def _sell_on(self, device: Device) -> None:
        """Sell until everything is delivered: only a later sale tells several postings apart that cut connections."""
        if device.running and not self._has_drained(device):
            self.sell(device)
            self.world.at(HOUR, f"{device.name} sells on", self._sell_on, device)

    def _is_innocent(self, parked: Parked) -> bool:
        return parked.code == ISOLATED and not any(made.poisoned for made in self.book.created[parked.id])

    def _is_drained(self) -> bool:
        return not self._planned and self.hq.up and all(self._has_drained(device) for device in self.devices)

    def _has_drained(self, device: Device) -> bool:
        pending = "SELECT 1 FROM posting WHERE state = 'pending' LIMIT 1"
        return device.running and not device.offline and not device.disk.query(pending)

    def _say_goodbye(self) -> None:
        """The day is closed: what every till says it has delivered is what HQ holds of it."""
        for device in self.devices:
            device.goodbye = None
            self._goodbye_of(device)
        if not self.world.run(lambda: all(device.goodbye for device in self.devices), self.world.now + DAY):
            raise Violation("P5", "a till could not close its day")
        for device in self.devices:
            assert device.goodbye is not None
            self.world.reached(f"bye: {device.goodbye.status}")
            unanswered = any(parked.code == ISOLATED for parked in device.outbox.parked())
            if device.goodbye.status != "balanced" and not device.unbalanced and not unanswered:
                said = device.outbox.totals()
                raise Violation("balance", f"{device.name} says {said}, HQ {device.goodbye}")

    def _goodbye_of(self, device: Device) -> None:
        if device.goodbye is None:
            device.say_goodbye()
            self.world.at(7 * SECOND, f"{device.name} may say bye", self._goodbye_of, device)

    def prove(self, thoroughly: bool) -> None:
        """Check every promise on what is left."""
        disks = [device.disk for device in self.devices]
        refused = self._ledger.refused_merges
        model = check(self._database.handle, self.book, disks, refused, orderly=self.orderly, thoroughly=thoroughly)
        check_past(self.hq.ask, self.hq.clock(), model, self._moments(model))
        if thoroughly:
            check_carried(self._database.handle, model)
        for situation in situations_of(model, refused):
            self.world.reached(situation)
        if thoroughly and not (proof := prove(self._database.real)).holds:
            raise Violation("proof", "; ".join(proof.findings))

    def _moments(self, model: Model) -> list[Moment]:
        """Moments of which HQ is asked: at, or just before, some posting, as known at another one."""
        if not model.postings:
            return []
        random = self.world.random
        one, other = random.choice(model.postings), random.choice(model.postings)
        as_of = one.effective_at - random.randint(0, 1)
        return [(as_of, random.choice((None, other.position))), (None, other.position)]

    def dissolve(self) -> None:
        """Have everybody let go of each other: nobody then has to search for them to free their memory."""
        everybody = [self.world, self.network, self.hq, self.trade, self.reader, *self.devices]
        for each in (*everybody, *(device.sender for device in self.devices), self):
            vars(each).clear()


def _weather(world: World, orderly: bool) -> Weather:
    random = world.random
    rough = random.random()
    slow = orderly or world.happens(0.2)
    return Weather(
        delay=(1 * MILLISECOND, random.choice((20, 400, 1_500)) * MILLISECOND),
        lost=rough * random.choice((0.0, 0.03, 0.1)),
        doubled=0.0 if orderly else rough * random.choice((0.0, 0.03, 0.1)),
        late=rough * random.choice((0.0, 0.02, 0.06)),
        cut=rough * random.choice((0.0, 0.02, 0.06)),
        refused=rough * random.choice((0.0, 0.0, 0.2)),
        slow_disk=0.25 if slow else 0.0,
        hq_crash=random.choice((0.0, 0.002, 0.01)),
        till_crash=random.choice((0.0, 0.01, 0.02)),
        storage_error=random.choice((0.0, 0.0, 0.0, 0.03)),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Production code logs what goes wrong, and here it does all the time."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def simulate(
    seed: int,
    trace: Callable[[str], None] | None = None,
    *,
    unique_ids: bool = True,
    thoroughly: bool | None = None,
) -> Result:
    """Run one seed; the result says which promise was broken, if any."""
    run = Run(seed, trace, unique_ids)
    violation = None
    with _quiet():
        try:
            run.storm()
            run.calm()
            run.prove(seed % PROOF_EVERY == 0 if thoroughly is None else thoroughly)
        except Violation as broken:
            violation = broken
        except Exception as error:  # noqa: BLE001 - whatever production code raises here would have killed a process
            violation = Violation("P10", "".join(traceback.format_exception(error)[-3:]))
    for device in run.devices:
        device.scrap_disks()
    world = run.world
    result = Result(
        seed,
        world.events,
        world.now - START,
        world.trace_hash,
        dict(world.sometimes),
        None if violation is None else str(violation),
        None if violation is None else violation.rule,
    )
    run.dissolve()
    return result
