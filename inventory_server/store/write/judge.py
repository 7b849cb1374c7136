"""The commit judge: decides every piece of work of a commit in order, on the commit's working set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from inventory_server.clock import Clock
from inventory_server.config import Settings
from inventory_server.domain import inventory
from inventory_server.domain.door import Outcome
from inventory_server.domain.inventory import Flags
from inventory_server.domain.limits import HOLES_SHOWN_MAX
from inventory_server.domain.lineage import Lineage, next_head
from inventory_server.domain.requests import Hello, Item, Ping, Post, TerminalRequest
from inventory_server.domain.roles import Speaker
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import new_stamp
from inventory_server.store.ledger.records import NOT_KEPT, Posted, Rejected, Terminal
from inventory_server.store.write import reading, terminal_session, weighing
from inventory_server.store.write.allowances import Allowances
from inventory_server.store.write.cache import KeepingCaches, WriterCache
from inventory_server.store.write.judged_posting import Refusal
from inventory_server.store.write.posting import enter
from inventory_server.store.write.statements import Statements
from inventory_server.store.write.terminal_session import fenced, known_terminal
from inventory_server.store.write.tick_clocks import clock_limits, received_at
from inventory_server.store.write.working_set import WorkingSet
from pos_client.protocol.control_totals import stock_effect
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.messages import PostingResult, PostResult
from pos_client.protocol.units import instant


class CommitJudge:
    """Carries out the work of one commit inside a transaction that the caller opens and commits."""

    def __init__(self, settings: Settings, clock: Clock, new_stamp: Callable[[], int] = new_stamp) -> None:
        self._settings = settings
        self._limits = clock_limits(settings)
        self._clock = clock
        self._new_stamp = new_stamp
        self._sql = Statements()
        self._cache = WriterCache()
        self._allowances = Allowances(settings)

    def carry_out(self, connection: Connection, works: list[TerminalRequest]) -> list[Outcome | RequestError]:
        """Judge `works` in order and write the results; the outcomes are valid once the caller has committed."""
        working_set = WorkingSet(connection, self._sql, self._cache, self._clock(), self._new_stamp(), self._limits)
        reading.read(working_set, self._settings, works)
        outcomes: list[Outcome | RequestError] = []
        for work in works:
            try:
                outcomes.append(self._carry_out_one(working_set, work))
            except RequestError as error:
                outcomes.append(error)
        working_set.flush()
        return outcomes

    def change(self, connection: Connection, job: Callable[[Connection], Any]) -> Any:
        """Run an administrator's `job`, set a new stamp (it may change what writers cache) and return its result."""
        stamp = t.ledger.c.stamp if isinstance(job, KeepingCaches) else self._new_stamp()
        connection.execute(t.ledger.update().values(stamp=stamp))  # in any case it holds the ledger
        return job(connection)

    def weigh(self, connection: Connection, post: Post) -> list[int]:
        """By how many movements each posting of a frame is heavier than its lines tell."""
        return weighing.weigh(connection, self._sql, post)

    def preload(self, connection: Connection) -> None:
        """Cache the catalogue and the levels: the first commits then need not read them."""
        self._cache.preload(connection)

    def forget(self) -> None:
        """Empty the cache: the transaction was rolled back."""
        self._cache.forget()

    def _carry_out_one(self, working_set: WorkingSet, work: TerminalRequest) -> Outcome:
        if isinstance(work, Post):
            return self._post(working_set, work)
        if isinstance(work, Hello):
            return terminal_session.hello(working_set, work)
        if isinstance(work, Ping):
            terminal_session.ping(working_set, work)
            return None
        return terminal_session.bye(working_set, work)

    # ------------------------------------------------------------------------------ one frame

    def _post(self, working_set: WorkingSet, post: Post) -> PostResult:
        speaker = post.actor
        known = known_terminal(working_set, speaker)
        if known.epoch != speaker.epoch:
            raise fenced(
                known, "Another connection has said hello for this terminal since; say hello again after a pause."
            )
        self._allowances.assert_left(speaker, working_set.now)
        held = None if speaker.lineage_key is None else working_set.lineages[speaker.terminal, speaker.lineage_key]
        _assert_no_fork(working_set, post, known, held)
        working_set.tick_clocks.contact(speaker.terminal, post.tick, received_at(post, working_set.now))
        results = [self._post_item(working_set, speaker, known, held, item) for item in post.items]
        working_set.changed_terminals.add(known.terminal)
        known.contact_at = working_set.now
        known.pending = max(0, known.pending - len(results))
        holes = held.holes if held is not None and held.beyond else []
        return PostResult(results, known.head.hex(), working_set.position, holes[:HOLES_SHOWN_MAX], len(holes))

    def _post_item(
        self, working_set: WorkingSet, speaker: Speaker, known: Terminal, held: Lineage | None, item: Item
    ) -> PostingResult:
        before = working_set.known.get(item.key)
        if before is not None and not _is_new(before):
            result = self._again(working_set, speaker, item, before)
        else:
            result = self._judge(working_set, speaker, known, item)
        if held is not None and speaker.lineage_key is not None:
            reopened = isinstance(before, Rejected) and before.reopened
            if _receive(working_set, held, item, result, reopened):
                working_set.changed_lineages.add((speaker.terminal, speaker.lineage_key))
        return result

    def _judge(self, working_set: WorkingSet, speaker: Speaker, known: Terminal, item: Item) -> PostingResult:
        try:
            posted = enter(working_set, self._settings, speaker, item)
        except Refusal as refusal:
            return self._reject(working_set, speaker, item, refusal)
        if posted.flags & (Flags.UNLISTED | Flags.UNKNOWN_LOCATION):
            self._charge(working_set, speaker, item, posted)
        known.head = next_head(known.head, item.key, item.digest)
        working_set.known[item.key] = posted
        return _posted(item, "posted", posted)

    def _again(self, working_set: WorkingSet, speaker: Speaker, item: Item, before: Posted | Rejected) -> PostingResult:
        """The result for an id that HQ has judged before: the same one, or `conflict`.

        It is a conflict if the content differs, or if another terminal posted it for another location.
        """
        is_other = before.digest != item.digest
        if is_other or _is_elsewhere(speaker, item, before):
            kept = self._kept(working_set, speaker, item)
            working_set.add_quarantine((item.key, item.digest, speaker.terminal, working_set.now, kept))
            judged = "posted" if isinstance(before, Posted) else "rejected"
            how = "with different content" if is_other else "by another terminal, for another location"
            reason = f"This id is already {judged} {how}; the new content is kept in quarantine."
            return PostingResult(item.id, "conflict", code="id_taken", reason=reason)
        if isinstance(before, Rejected):
            return PostingResult(item.id, "rejected", code=before.code, reason=before.reason)
        return _posted(item, "duplicate", before)

    def _reject(self, working_set: WorkingSet, speaker: Speaker, item: Item, refusal: Refusal) -> PostingResult:
        lineage = speaker.lineage_key
        working_set.known[item.key] = Rejected(item.digest, refusal.code, refusal.reason, lineage, item.seq, False)
        why, kept = (refusal.code, refusal.reason, item.digest), self._kept(working_set, speaker, item)
        by = (item.key, speaker.terminal, lineage, item.seq, working_set.now)
        working_set.add_rejection((*by, *why, kept, None))
        return PostingResult(item.id, "rejected", code=refusal.code, reason=refusal.reason)

    def _kept(self, working_set: WorkingSet, speaker: Speaker, item: Item) -> bytes:
        """What HQ keeps of the body of a refused posting: nothing once the till has used up its quota.

        The till keeps all of it, among its dead letters.
        """
        allowances, now = self._allowances, working_set.now
        allowances.charge(speaker, "refused_postings_daily_max", 1, now)
        if allowances.is_used_up(speaker, "refused_bytes_daily_max", now):
            return NOT_KEPT
        allowances.charge(speaker, "refused_bytes_daily_max", len(item.raw), now)
        return item.raw

    def _charge(self, working_set: WorkingSet, speaker: Speaker, item: Item, posted: Posted) -> None:
        """Charge a till for names that HQ did not know before."""
        now = working_set.now
        if posted.flags & Flags.UNKNOWN_LOCATION:
            self._allowances.charge(speaker, "unknown_locations_daily_max", 1, now)
        new = working_set.new_levels.intersection([(posted.location, sku) for sku, _ in item.lines])
        new = {key for key in new if not working_set.is_listed(key[1])}
        working_set.new_levels -= new
        self._allowances.charge(speaker, "new_skus_daily_max", len(new), now)


def _receive(working_set: WorkingSet, held: Lineage, item: Item, result: PostingResult, reopened: bool) -> bool:
    """Record a posting and its result in the lineage; True if that changed it.

    One without a sequence number counts when it is posted: only a number tells that this lineage sent a duplicate.
    """
    if item.seq is None:
        news = result.status == "posted"
    else:
        news = not held.holds(item.seq)
        if news:
            held.receive(item.seq, _happened_at(working_set, item) if result.flags else item.occurred_at)
    if (news or reopened) and result.status in ("posted", "duplicate"):
        held.count += 1
        held.quantity += 0 if item.body is None else stock_effect(item.body.type, item.quantities)
        return True
    return news


def _happened_at(working_set: WorkingSet, item: Item) -> int | None:
    """When a posting happened by its effective instant, which differs from its own where it was corrected."""
    posted = working_set.known.get(item.key)
    return posted.effective_at if isinstance(posted, Posted) else item.occurred_at


def _assert_no_fork(working_set: WorkingSet, post: Post, known: Terminal, held: Lineage | None) -> None:
    known_ids = working_set.known
    new = [(item, before) for item in post.items if _is_new(before := known_ids.get(item.key))]
    if not new:
        return
    fork = post.parent is not None and post.parent != known.head.hex()
    if held is not None:
        lineage = post.actor.lineage_key
        seqs: dict[int, bytes] = {}
        for item, before in new:
            if item.seq is None:
                continue
            own = isinstance(before, Rejected) and before.seq == item.seq and before.lineage == lineage
            taken = held.holds(item.seq) and not own
            fork |= taken or held.is_full(item.seq) or seqs.setdefault(item.seq, item.key) != item.key
    if fork:
        raise RequestError(
            ErrorCode.fork,
            "This outbox has diverged from what HQ holds; say hello with a new lineage and send the same ids again.",
            parent=known.head.hex(),
            seq=held.acked_seq if held else 0,
        )


def _is_new(before: Posted | Rejected | None) -> bool:
    return before is None or (isinstance(before, Rejected) and before.reopened)


def _is_elsewhere(speaker: Speaker, item: Item, before: Posted | Rejected) -> bool:
    if isinstance(before, Rejected) or before.terminal == speaker.terminal or item.body is None:
        return False
    location = item.body.location if isinstance(item.body.location, str) else speaker.location
    return before.location != location


def _posted(item: Item, status: str, posted: Posted) -> PostingResult:
    flags = inventory.flag_names(posted.flags)
    return PostingResult(item.id, status, posted.position, instant(posted.recorded_at), flags)  # type: ignore[arg-type]
