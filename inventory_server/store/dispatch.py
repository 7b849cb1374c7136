"""The functions that answer queries and carry out administrators' changes, in tables by request.

Terminals' requests that write go to `write.judge`; the tables contain all others of `domain.requests.REQUESTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from inventory_server.clock import Clock
from inventory_server.domain import people as p
from inventory_server.domain import requests as r
from inventory_server.domain.door import Outcome, Progress
from inventory_server.store.admin import people
from inventory_server.store.admin.alerts import (
    record_alerts,
    record_delivery,
    remove_target,
    resume_target,
    start_observing,
)
from inventory_server.store.admin.audit import list_audit
from inventory_server.store.admin.catalog import (
    find_barcodes,
    import_products,
    list_products,
    remove_product,
    show_product,
)
from inventory_server.store.admin.codes import redeem_code, valid_codes
from inventory_server.store.admin.copy import compare, copy
from inventory_server.store.admin.counts import PostWithIds, import_counts
from inventory_server.store.admin.exceptions import exceptions, settle
from inventory_server.store.admin.figures import figures
from inventory_server.store.admin.locations import list_locations, rename_location, set_location
from inventory_server.store.admin.merges import PostForHq, merge_listed, merge_products
from inventory_server.store.admin.move import mark_moved, unmark_moved
from inventory_server.store.admin.ordered import mark_ordered, unmark_ordered
from inventory_server.store.admin.overview import overview
from inventory_server.store.admin.reconcile import reconcile
from inventory_server.store.admin.review import reopen, waiting
from inventory_server.store.admin.terminals import (
    add_terminal,
    adopt_terminal,
    list_terminals,
    move_terminal,
    revoke_terminal,
    rotate_terminal,
)
from inventory_server.store.database.base import Database
from inventory_server.store.database.url import database_of
from inventory_server.store.growth import archive, closing, partition
from inventory_server.store.query import (
    alerts,
    changes,
    counts,
    feed,
    history,
    levels,
    open_documents,
    order_list,
    ordered,
    postings,
    sales,
    stock,
    stock_now,
    tokens,
    watched,
)
from inventory_server.store.query.service import Answer, Shortcut
from inventory_server.store.verify.levels import prove_levels
from inventory_server.store.verify.verify import verify
from pos_client.protocol.units import SECOND_MICROS

ANSWERS: Mapping[type, Answer] = MappingProxyType(
    {
        r.CheckToken: lambda at, question: tokens.check_token(at.connection, question.hello),
        r.FindSpeaker: lambda at, question: tokens.find_speaker(at.connection, question.hello),
        r.Stock: lambda at, question: stock.stock(at.connection, at.settings, at.now, question),
        r.ListLevels: lambda at, question: levels.levels(at.connection, at.settings, at.now, question),
        r.History: lambda at, question: history.history(at.connection, at.settings, question),
        r.FindPosting: lambda at, question: history.find_posting(at.connection, question),
        r.ListPostings: lambda at, question: postings.postings(at.connection, at.settings, question),
        r.ListCounts: lambda at, question: counts.counts(at.connection, at.settings, question),
        r.ListTransfers: lambda at, question: open_documents.transfers(at.connection, at.settings, at.now, question),
        r.ListReservations: lambda at, question: open_documents.reservations(
            at.connection, at.settings, at.now, question
        ),
        r.ListSales: lambda at, question: sales.sales(at.connection, at.settings, at.now, question),
        r.ListChanges: lambda at, question: changes.changes(at.connection, at.settings, at.now, question),
        r.StartFeed: lambda at, question: feed.start(at.connection, question),
        r.ReadFeed: lambda at, question: feed.feed(at.connection, question),
        r.ShowOverview: lambda at, _: overview(at.connection),
        r.ShowFigures: lambda at, _: figures(
            at.connection, at.database.path, at.now, at.settings.silent_after_seconds * SECOND_MICROS
        ),
        r.Reconcile: lambda at, _: reconcile(at.connection, at.now, at.settings.silent_after_seconds * SECOND_MICROS),
        r.ListWaiting: lambda at, _: waiting(at.connection),
        r.ListExceptions: lambda at, question: exceptions(at.connection, question),
        r.ListProducts: lambda at, _: list_products(at.connection),
        r.ShowProduct: lambda at, question: show_product(at.connection, question.sku),
        r.FindBarcodes: lambda at, question: find_barcodes(at.connection, question.barcodes),
        p.ListUsers: lambda at, _: people.list_users(at.connection, at.now),
        p.FindUser: lambda at, question: people.find_user(at.connection, question.user),
        p.FindKey: lambda at, question: people.find_key(at.connection, question.key, at.now),
        r.ListCodes: lambda at, _: valid_codes(at.connection, at.now),
        r.ListTerminals: lambda at, _: list_terminals(at.connection),
        r.ListLocations: lambda at, _: list_locations(at.connection),
        r.ListAudit: lambda at, question: list_audit(at.connection, question.limit, question.before),
        r.ListOrder: lambda at, question: order_list.order_list(
            at.connection, at.settings, at.now, question, at.progress
        ),
        r.ListOrdered: lambda at, question: ordered.ordered(at.connection, at.now, question),
        r.ListAlerts: lambda at, question: alerts.list_alerts(at.connection, question),
        r.ShowObserver: lambda at, _: alerts.observer(at.connection),
        r.ListDue: lambda at, question: alerts.due(at.connection, question.targets, at.now),
        r.WatchLevels: lambda at, question: watched.levels(at.connection, question, at.now),
        r.WatchTills: lambda at, _: watched.tills(at.connection, at.settings, at.now),
        r.ProveLevels: lambda at, question: prove_levels(at.connection, question),
        r.ListPartitions: lambda at, _: partition.parts(at.database, at.connection),
        r.AdviseOnGrowth: lambda at, _: at.database.growth_warning(at.connection),
        r.Verify: lambda at, _: verify(at.database, at.connection, at.progress),
        r.Compare: lambda at, question: compare(at.database, at.connection, database_of(question.other), at.progress),
    }
)
"""Queries; each is answered from one snapshot."""

SHORTCUTS: Mapping[type, Shortcut] = MappingProxyType(
    {
        r.CheckToken: Shortcut(lambda _: True, ANSWERS[r.CheckToken]),
        r.Stock: Shortcut(
            stock_now.is_everyday, lambda at, question: stock_now.ask(at.connection, at.settings, at.now, question)
        ),
    }
)
"""Queries of which the most frequent ones are answered by a single statement."""


@dataclass(frozen=True, slots=True)
class Changing:
    """The context of a change: the writer's transaction, rolled back if the change raises.

    `post` enters HQ's own postings into the ledger in it, `post_with_ids` those whose ids are given.
    """

    connection: Connection
    database: Database
    now: int
    progress: Progress
    post: PostForHq
    post_with_ids: PostWithIds


def _import_products(at: Changing, change: r.ImportProducts) -> int:
    """Import products, and merge what was sold by their barcodes before they were listed."""
    imported = import_products(at.connection, change.products, change.suppliers, change.columns)
    merge_listed(at.connection, at.post, change.products, at.now)
    return imported


CHANGES: Mapping[type, Callable[[Changing, Any], Outcome]] = MappingProxyType(
    {
        r.Enrol: lambda at, c: add_terminal(at.connection, c, at.now),
        r.RedeemCode: lambda at, c: redeem_code(at.connection, c, at.now),
        r.RevokeTerminal: lambda at, c: revoke_terminal(at.connection, c.terminal, at.now),
        r.RotateToken: lambda at, c: rotate_terminal(at.connection, c, at.now),
        r.MoveTerminal: lambda at, c: move_terminal(at.connection, c.terminal, c.location, at.now),
        r.AdoptTerminal: lambda at, c: adopt_terminal(at.connection, c.terminal, c.by, at.now),
        p.AddUser: lambda at, c: people.add_user(at.connection, c, at.now),
        p.ResetUser: lambda at, c: people.reset_user(at.connection, c, at.now),
        p.SetUserRole: lambda at, c: people.set_user_role(at.connection, c),
        p.RemoveUser: lambda at, c: people.remove_user(at.connection, c.user),
        p.AddToken: lambda at, c: people.add_token(at.connection, c, at.now),
        p.RemoveToken: lambda at, c: people.remove_token(at.connection, c),
        p.RedeemLink: lambda at, c: people.redeem_link(at.connection, c, at.now),
        p.SetPassword: lambda at, c: people.set_password(at.connection, c),
        p.OpenSession: lambda at, c: people.open_session(at.connection, c, at.now),
        p.CloseSession: lambda at, c: people.close_session(at.connection, c),
        r.SetLocation: lambda at, c: set_location(at.connection, c),
        r.RenameLocation: lambda at, c: rename_location(at.connection, c),
        r.ImportProducts: lambda at, c: _import_products(at, c),
        r.ImportCounts: lambda at, c: import_counts(at.post_with_ids, c.counts),
        r.RemoveProduct: lambda at, c: remove_product(at.connection, c.sku),
        r.MergeProducts: lambda at, c: merge_products(at.connection, at.post, c.merge, c.into, at.now),
        r.ReopenPosting: lambda at, c: reopen(at.connection, c.id, at.now),
        r.SettleException: lambda at, c: settle(at.connection, c, at.now),
        r.MarkOrdered: lambda at, c: mark_ordered(at.connection, c, at.now),
        r.UnmarkOrdered: lambda at, c: unmark_ordered(at.connection, c),
        r.StartObserving: lambda at, c: start_observing(at.connection, c.owner),
        r.RecordAlerts: lambda at, c: record_alerts(at.connection, c, at.now),
        r.RecordDelivery: lambda at, c: record_delivery(at.connection, c, at.now),
        r.ResumeTarget: lambda at, c: resume_target(at.connection, c.target),
        r.RemoveTarget: lambda at, c: remove_target(at.connection, c.target),
        r.MarkMoved: lambda at, c: mark_moved(at.connection, at.database, c.to),
        r.UnmarkMoved: lambda at, _: unmark_moved(at.connection, at.database),
        r.CopyFrom: lambda at, c: copy(database_of(c.source), at.database, at.connection, at.progress),
    }
)
"""Changes that take one transaction, between two commits of postings."""


@dataclass(frozen=True, slots=True)
class Maintaining:
    """The context of a change that takes many transactions; `run` has the writer carry out one.

    The change calls `finished` in its last transaction, so that both are durable or neither.
    """

    database: Database
    snapshot: Callable[[], AbstractContextManager[Connection]]
    run: Callable[[Callable[[Connection], Any]], Any]
    finished: Callable[[Connection], None]
    clock: Clock
    progress: Progress


MAINTENANCE: Mapping[type, Callable[[Maintaining, Any], Outcome]] = MappingProxyType(
    {
        r.CloseBooks: lambda at, _: closing.close(at.snapshot, at.run, at.finished, at.clock, at.progress),
        r.MakePartitions: lambda at, c: partition.make(at.database, c.ahead, c.positions, at.finished),
        r.ArchivePartitions: lambda at, c: archive.archive(at.database, c.before, at.finished, at.clock, at.progress),
        r.ReturnPartition: lambda at, _: archive.bring_back(at.database, at.finished),
    }
)
"""Changes that take many small transactions, on the calling thread."""
