"""What befalls a chain of shops once in a while: copied, restored and lost disks, long silences, wrong clocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection

from inventory_server.domain.product import Product
from inventory_server.store.admin.catalog import import_products
from inventory_server.store.admin.merges import merge_listed, merge_products
from inventory_server.store.admin.review import reopen
from inventory_server.store.admin.terminals import adopt_terminal, move_terminal
from inventory_server.store.ledger.head import head_of
from pos_client.protocol.messages import Body, Line, PostingResult
from tests.simulation.book import Created, Listed
from tests.simulation.disk import Disk
from tests.simulation.hq import Backup
from tests.simulation.till import Device
from tests.simulation.trade import LISTED_LATER, SKUS, STORES, home_of
from tests.simulation.world import DAY, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from tests.simulation.run import Run

STORM = (2 * SECOND, 4 * MINUTE)


def plan(run: Run) -> None:
    """Draw from the seed what will happen in this run, and when."""
    for chance, what, incident in (
        (0.25, "clone", _clone),
        (0.25, "restore", _restore),
        (0.15, "wipe", _wipe),
        (0.15, "move the outbox", _move),
        (0.35, "long silence", _long_silence),
        (0.3, "clock jump", _clock_jump),
        (0.15, "hq clock jump", _hq_clock_jump),
        (0.2, "hq terminates", _terminate),
        (0.2, "hq is killed", _kill),
        (0.2, "till is killed", _kill_till),
        (0.1, "id used twice", _reuse_id),
        (0.2, "reopen", _reopen),
        (0.2, "receipts are mixed up", _mix_up_receipts),
        (1.0 if run.orderly else 0.2, "bye before the last sale", _early_closing),
        (0.4 if run.with_merges else 0.0, "hq merges products", _merge_at_hq),
        (0.4 if run.with_merges else 0.0, "a barcode is listed", _list_barcode),
        (0.7 if run.with_moves else 0.0, "a till moves", _move_till),
        (0.08, "backup", _backup),
        (0.08, "backup before a move", _backup_before_a_move),
    ):
        if run.with_moves and incident is _move:
            chance = 0.6
        if run.world.happens(chance) and not (run.orderly and incident in _DISORDER):
            run.plan(run.world.between(STORM), what, incident, run)


def _device(run: Run, role: str | None = "till") -> Device:
    return run.world.random.choice([each for each in run.devices if role in (None, each.role)])


def _clone(run: Run) -> None:
    """A disk is copied into a second device: two devices, one identity."""
    operators = [each for each in run.devices if each.role == "operator"]
    original = operators[0] if operators and run.world.happens(0.5) else _device(run)
    run.world.reached("clone")
    _copy(run, original, f"{original.name}'s clone", original.terminal)


def _move(run: Run) -> None:
    """An outbox is copied to a device with a name of its own: the same ids from two terminals."""
    original = _device(run)
    terminal = run.spare_terminal(original.home)
    if terminal is not None:
        run.world.reached("outbox moved to another terminal")
        _copy(run, original, f"{terminal} for {original.name}", terminal)
        if run.with_moves:
            run.plan(run.world.between((SECOND, HOUR)), "outbox adopted", _adopt, run, original.terminal, terminal)


def _adopt(run: Run, terminal: str, by: str) -> None:
    """An operator allows a till to deliver what another one's outbox held; again and again, until HQ is up."""
    if run.hq.administer(lambda connection: adopt_terminal(connection, terminal, by, run.hq.clock())):
        run.world.reached("outbox adopted")
    else:
        run.plan(10 * SECOND, "outbox adopted", _adopt, run, terminal, by)


def _move_till(run: Run) -> None:
    """A till is carried to the other shop; what it has not delivered yet was sold where it was."""
    device = _device(run)
    to = run.world.random.choice([store for store in STORES if store != device.home])
    if run.hq.administer(lambda connection: move_terminal(connection, device.terminal, to, run.hq.clock())):
        run.world.reached("till moved")
        if run.world.happens(0.5):
            run.plan(run.world.between(STORM), "the till moves on", _move_till, run)


def _copy(run: Run, original: Device, name: str, terminal: str) -> None:
    """Sometimes both devices are switched on at the same moment, with the same postings to send."""
    original.unbalanced = True
    together = run.world.happens(0.5)
    if together:
        original.set_offline(True)
        run.sell(original)
    home = original.home if terminal == original.terminal else home_of(terminal)
    copy = run.add_device(name, terminal, original.role, home, original.disk.copy())
    copy.moved = terminal != original.terminal
    if together:
        original.set_offline(False)
        for device in (original, copy):
            device.crash("switched off", away=SECOND)


def _restore(run: Run) -> None:
    """An image of a disk is taken, and put back later: what was sold in between is gone from it."""
    device = _device(run)
    image = device.disk.copy()
    run.plan(run.world.between((SECOND, 5 * MINUTE)), "image comes back", _put_back, run, device, image)


def _put_back(run: Run, device: Device, image: Disk) -> None:
    run.world.reached("old image restored")
    device.unbalanced = True
    _replace(run, device, image)


def _wipe(run: Run) -> None:
    """A disk dies and is replaced by an empty one."""
    run.world.reached("outbox wiped")
    _replace(run, _device(run), Disk())


def _replace(run: Run, device: Device, disk: Disk) -> None:
    gone = _ids(device.disk)
    device.swap_disk(disk)
    kept: set[UUID] = set().union(*(_ids(each.disk) for each in run.devices))
    run.book.disk_lost(kept, gone)


def _ids(disk: Disk) -> set[UUID]:
    return {UUID(bytes=row[0]) for row in disk.query("SELECT id FROM posting")}


def _long_silence(run: Run) -> None:
    """A device is cut off for hours or days, and goes on selling."""
    device = _device(run, None)
    run.world.reached("long silence")
    device.set_offline(True)
    silence = run.world.between((10 * MINUTE, 6 * HOUR) if run.world.happens(0.5) else (DAY, 5 * DAY))
    run.plan(silence, f"{device.name} is back", device.set_offline, False)
    for _ in range(run.world.between((1, 3))):
        run.plan(run.world.between((0, silence)), f"{device.name} sells offline", run.sell, device)


def _mix_up_receipts(run: Run) -> None:
    """Two transfers are under way; the goods of the second are received without a name, then the first by its name."""
    tills = {each.home: each for each in run.devices if each.role == "till"}
    if len(tills) > 1:
        sender, receiver = list(tills.values())[:2]
        sent: list[UUID] = []
        way = {"type": "transfer_in", "other_location": sender.home}
        for delay in (0, 5 * SECOND):
            run.plan(delay, "goods are sent", _send, run, sender, receiver.home, sent)
        run.plan(60 * SECOND, "goods come without a name", _receive, run, receiver, way, sent)
        run.plan(90 * SECOND, "goods come by their name", _receive, run, receiver, {"type": "transfer_in"}, sent)


def _send(run: Run, device: Device, to: str, sent: list[UUID]) -> None:
    def make(posting_id: UUID) -> Created | None:
        made = _transfer(run, device, posting_id, {"type": "transfer_out", "other_location": to})
        if made is not None:
            sent.append(posting_id)
        return made

    device.sell(make)


def _receive(run: Run, device: Device, said: dict[str, Any], sent: list[UUID]) -> None:
    named = said if "other_location" in said or not sent else {**said, "transfer": sent[0]}
    if "other_location" in named or "transfer" in named:
        device.sell(lambda posting_id: _transfer(run, device, posting_id, named))


def _transfer(run: Run, device: Device, posting_id: UUID, said: dict[str, Any]) -> Created | None:
    """A transfer; None where the till has moved to the other end of it meanwhile."""
    if said.get("other_location") == device.home:
        return None
    lines = [Line(3, sku=SKUS[0])]
    return run.trade.document(posting_id, device.terminal, device.home, device.clock(), lines=lines, **said)


def _early_closing(run: Run) -> None:
    """A till says that the day is over; then its line goes down, and somebody buys something after all."""
    device = _device(run)
    if device.running and not device.offline:
        device.say_goodbye()
        run.plan(10 * SECOND, f"{device.name}'s line goes down", _sell_after_closing, run, device)


def _sell_after_closing(run: Run, device: Device) -> None:
    if device.sender.is_resting:
        run.world.reached("sale after bye")
    device.set_offline(True)
    for number in range(1, 5):
        run.plan(number * 20 * SECOND, f"{device.name} sells after closing", run.sell, device)
    run.plan(100 * SECOND, "reader looks", run.reader.look)
    back = run.world.between((2 * MINUTE, HOUR))
    run.plan(back, f"{device.name} is back", device.set_offline, False)
    for seconds in range(10):
        run.plan(back + seconds * SECOND, "reader looks", run.reader.glance)


def _clock_jump(run: Run) -> None:
    """Somebody sets a device's clock, or a battery dies: 1970."""
    device = _device(run, None)
    run.world.reached("clock jump")
    if run.world.happens(0.1):
        device.skew = -run.world.now
    else:
        device.skew += run.world.between((-HOUR, HOUR) if run.world.happens(0.7) else (-200 * DAY, 30 * DAY))


def _hq_clock_jump(run: Run) -> None:
    run.world.reached("hq clock jump")
    run.book.hq_clock_was_set = True
    run.hq.skew += run.world.between((-2 * HOUR, 2 * HOUR))


def _terminate(run: Run) -> None:
    run.hq.drain()


def _kill(run: Run) -> None:
    if run.hq.up:
        run.hq.crash("at any time")


def _kill_till(run: Run) -> None:
    _device(run, None).crash("at any time")


def _backup(run: Run) -> None:
    """HQ's database is copied, and the copy put back later: HQ has forgotten what the tills know."""
    if run.hq.up and not run.careless and not run.with_moves:
        run.plan(run.world.between((SECOND, 3 * MINUTE)), "hq's backup comes back", _go_back, run, run.hq.backup())


def _backup_before_a_move(run: Run) -> None:
    """An outbox delivers, and goes to another terminal for good; then HQ forgets all of that."""
    if run.hq.up and not run.careless and not run.with_moves:
        device = _device(run)
        run.sell(device)
        run.plan(run.world.between((SECOND, MINUTE)), "the outbox moves", _move_away, run, device, run.hq.backup())


def _move_away(run: Run, original: Device, backup: Backup) -> None:
    terminal = run.spare_terminal(original.home)
    if terminal is not None:
        run.world.reached("outbox moved for good")
        _copy(run, original, f"{terminal} for {original.name}", terminal)
        _replace(run, original, Disk())
        run.plan(run.world.between((SECOND, MINUTE)), "hq's backup comes back", _go_back, run, backup)


def _go_back(run: Run, backup: Backup) -> None:
    run.world.reached("hq restored from a backup")
    pairs = zip(run.hq.backup().image["posting"], backup.image["posting"], strict=False)
    unchanged = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))  # the backup may be of another past
    run.hq.restore(backup)
    kept = {UUID(bytes=row[1]) for row in backup.image["posting"]}
    run.book.hq_lost(unchanged, kept.union(*(_ids(each.disk) for each in run.devices)))
    for device in run.devices:
        device.unbalanced = True


def _reopen(run: Run) -> None:
    """An operator reopens what HQ refused, and its till sends it again."""
    device = _device(run, None)
    refused = (
        [parked.id for parked in device.outbox.parked() if parked.code == "not_available"] if device.running else []
    )
    if not refused:
        return
    run.book.reopened.add(refused[0])  # also if HQ crashes before it says so
    if run.hq.administer(lambda connection: reopen(connection, refused[0], run.hq.clock())):
        run.world.reached("reopened")
        device.redrive(lambda parked: parked.id == refused[0])


def _merge_at_hq(run: Run) -> None:
    """Somebody merges two products at headquarters."""
    ended, into = run.trade.merge_pair()

    def merge(connection: Connection) -> None:
        merge_products(connection, partial(_post, run, connection), ended, into, run.hq.clock())

    if run.hq.administer(merge):
        run.world.reached("merged at hq")


def _list_barcode(run: Run) -> None:
    """A catalogue lists a barcode; what was sold by it before is merged into the product that it is."""
    product = Product(run.world.random.choice(SKUS[1:]), barcodes=(LISTED_LATER,))

    def import_catalogue(connection: Connection) -> None:
        import_products(connection, [product])
        merge_listed(connection, partial(_post, run, connection), [product], run.hq.clock())
        run.book.listed = Listed(head_of(connection).position, LISTED_LATER, product.sku)

    if run.hq.administer(import_catalogue):
        run.world.reached("barcode listed later")


def _post(run: Run, connection: Connection, bodies: Sequence[Body]) -> list[PostingResult]:
    """Enter HQ's own postings into the ledger."""
    made = [run.trade.hq_merge(run.new_id(), body) for body in bodies]
    for each in made:
        run.book.create(each)
    return [run.hq.post(connection, each) for each in made]


def _reuse_id(run: Run) -> None:
    device = _device(run)
    device.sell(lambda _: run.trade.reused_id(device.terminal, device.role, device.home, device.clock()))


_DISORDER = (_clone, _restore, _wipe, _move, _clock_jump, _hq_clock_jump, _move_till, _backup, _backup_before_a_move)
"""What makes HQ's `complete_to` a guess."""
