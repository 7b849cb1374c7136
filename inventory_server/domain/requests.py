"""The table of requests: every query and every change that a store accepts. Plain data, no I/O.

Sessions, commands and the control socket map their input to one of these and pass it to the store: a query to `ask`, a
change to `submit`. `REQUESTS` states the outcome of each, its cost, who may make it and whether it is audited. Each may
raise `RequestError` or `StoreError` instead.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from inventory_server.domain import alerts, answers, people
from inventory_server.domain.changes import AdoptTerminal as AdoptTerminal
from inventory_server.domain.changes import ArchivePartitions as ArchivePartitions
from inventory_server.domain.changes import CloseBooks as CloseBooks
from inventory_server.domain.changes import CopyFrom as CopyFrom
from inventory_server.domain.changes import Enrol as Enrol
from inventory_server.domain.changes import ImportCounts as ImportCounts
from inventory_server.domain.changes import ImportProducts as ImportProducts
from inventory_server.domain.changes import MakePartitions as MakePartitions
from inventory_server.domain.changes import MarkMoved as MarkMoved
from inventory_server.domain.changes import MarkOrdered as MarkOrdered
from inventory_server.domain.changes import MergeProducts as MergeProducts
from inventory_server.domain.changes import MoveTerminal as MoveTerminal
from inventory_server.domain.changes import RecordAlerts as RecordAlerts
from inventory_server.domain.changes import RecordDelivery as RecordDelivery
from inventory_server.domain.changes import RedeemCode as RedeemCode
from inventory_server.domain.changes import RemoveProduct as RemoveProduct
from inventory_server.domain.changes import RemoveTarget as RemoveTarget
from inventory_server.domain.changes import RenameLocation as RenameLocation
from inventory_server.domain.changes import ReopenPosting as ReopenPosting
from inventory_server.domain.changes import ResumeTarget as ResumeTarget
from inventory_server.domain.changes import ReturnPartition as ReturnPartition
from inventory_server.domain.changes import RevokeTerminal as RevokeTerminal
from inventory_server.domain.changes import RotateToken as RotateToken
from inventory_server.domain.changes import SetLocation as SetLocation
from inventory_server.domain.changes import SettleException as SettleException
from inventory_server.domain.changes import StartObserving as StartObserving
from inventory_server.domain.changes import UnmarkMoved as UnmarkMoved
from inventory_server.domain.changes import UnmarkOrdered as UnmarkOrdered
from inventory_server.domain.levels import LevelsPage
from inventory_server.domain.levels import ListLevels as ListLevels
from inventory_server.domain.metrics import LedgerFigures, ServerMetrics
from inventory_server.domain.order_lines import OrderList, OrderMark
from inventory_server.domain.questions import AdviseOnGrowth as AdviseOnGrowth
from inventory_server.domain.questions import Compare as Compare
from inventory_server.domain.questions import FindBarcodes as FindBarcodes
from inventory_server.domain.questions import FindPosting as FindPosting
from inventory_server.domain.questions import History as History
from inventory_server.domain.questions import ListAlerts as ListAlerts
from inventory_server.domain.questions import ListAudit as ListAudit
from inventory_server.domain.questions import ListChanges as ListChanges
from inventory_server.domain.questions import ListClients as ListClients
from inventory_server.domain.questions import ListCodes as ListCodes
from inventory_server.domain.questions import ListCounts as ListCounts
from inventory_server.domain.questions import ListDue as ListDue
from inventory_server.domain.questions import ListExceptions as ListExceptions
from inventory_server.domain.questions import ListLocations as ListLocations
from inventory_server.domain.questions import ListOrder as ListOrder
from inventory_server.domain.questions import ListOrdered as ListOrdered
from inventory_server.domain.questions import ListPartitions as ListPartitions
from inventory_server.domain.questions import ListPostings as ListPostings
from inventory_server.domain.questions import ListProducts as ListProducts
from inventory_server.domain.questions import ListReservations as ListReservations
from inventory_server.domain.questions import ListSales as ListSales
from inventory_server.domain.questions import ListTerminals as ListTerminals
from inventory_server.domain.questions import ListTransfers as ListTransfers
from inventory_server.domain.questions import ListWaiting as ListWaiting
from inventory_server.domain.questions import ProveLevels as ProveLevels
from inventory_server.domain.questions import ReadFeed as ReadFeed
from inventory_server.domain.questions import Reconcile as Reconcile
from inventory_server.domain.questions import ShowFigures as ShowFigures
from inventory_server.domain.questions import ShowMetrics as ShowMetrics
from inventory_server.domain.questions import ShowObserver as ShowObserver
from inventory_server.domain.questions import ShowOverview as ShowOverview
from inventory_server.domain.questions import ShowProduct as ShowProduct
from inventory_server.domain.questions import StartFeed as StartFeed
from inventory_server.domain.questions import Stock as Stock
from inventory_server.domain.questions import Verify as Verify
from inventory_server.domain.questions import WatchLevels as WatchLevels
from inventory_server.domain.questions import WatchTills as WatchTills
from inventory_server.domain.roles import (
    ADMINS,
    EVERYBODY,
    OPERATORS,
    POSTERS,
    STRANGERS,
    ActorRole,
    Speaker,
)
from inventory_server.domain.terminal_requests import Bye as Bye
from inventory_server.domain.terminal_requests import CheckToken as CheckToken
from inventory_server.domain.terminal_requests import FigureTooLarge as FigureTooLarge
from inventory_server.domain.terminal_requests import FindSpeaker as FindSpeaker
from inventory_server.domain.terminal_requests import Hello as Hello
from inventory_server.domain.terminal_requests import Item as Item
from inventory_server.domain.terminal_requests import Ping as Ping
from inventory_server.domain.terminal_requests import Post as Post
from inventory_server.domain.terminal_requests import Welcome as Welcome
from pos_client.protocol.errors import ErrorCode, RequestError
from pos_client.protocol.lists import (
    ChangesResult,
    CountsResult,
    ExceptionsResult,
    PostingsResult,
    ReservationsResult,
    SalesResult,
    TransfersResult,
)
from pos_client.protocol.messages import (
    ByeResult,
    HistoryResult,
    PostingResult,
    PostResult,
    StockResult,
    StoredPosting,
)


class Cost(enum.Enum):
    """How much of the database a request reads or writes."""

    QUICK = "a few rows, by key"
    PAGE = "at most a page, or a short list"
    LONG = "most of the ledger, in many steps: reports its progress and does not block other requests"


@dataclass(frozen=True, slots=True)
class Kind:
    """The properties of one type of request. `name` is its name on the wire and in the audit trail."""

    name: str
    outcome: Any
    cost: Cost
    roles: frozenset[ActorRole]
    writes: bool = False
    is_audited: bool = False
    is_grouped: bool = False
    """The writer commits it together with others."""
    on_moved_ledger: bool = False
    """It is made on a ledger that was moved away, too."""
    by_server: bool = False
    """A running server answers it, as the ledger does not hold the answer."""
    keeps_caches: bool = False
    """It changes nothing that writers keep in memory."""
    on_control_socket: bool = False
    """A running server carries it out for an administrator; its params are the fields of the request."""


def _by_terminal(name: str, outcome: Any, roles: frozenset[ActorRole]) -> Kind:
    """A terminal's request that writes."""
    return Kind(name, outcome, Cost.QUICK, roles, writes=True, is_grouped=True)


def _report(name: str, outcome: Any, roles: frozenset[ActorRole], cost: Cost = Cost.PAGE) -> Kind:
    """A query by an administrator, of the ledger directly or through its server."""
    return Kind(name, outcome, cost, roles, on_control_socket=True)


def _change(
    name: str, outcome: Any, roles: frozenset[ActorRole], cost: Cost = Cost.QUICK, on_control_socket: bool = True
) -> Kind:
    """A change by an administrator, which is always audited."""
    return Kind(name, outcome, cost, roles, writes=True, is_audited=True, on_control_socket=on_control_socket)


def _partition_change(name: str, outcome: Any) -> Kind:
    """A change of partitions, which PostgreSQL alone has: there a command makes it without the server."""
    return _change(name, outcome, ADMINS, Cost.LONG, on_control_socket=False)


def _note(name: str, outcome: Any) -> Kind:
    """What the observer has to have noted, all day long. Not audited: people neither ask for it nor can undo it."""
    return Kind(name, outcome, Cost.QUICK, ADMINS, writes=True, keeps_caches=True, on_control_socket=True)


def _move(name: str, outcome: Any) -> Kind:
    """A change of whether the ledger is served, made while no server does."""
    return Kind(name, outcome, Cost.QUICK, ADMINS, writes=True, is_audited=True, on_moved_ledger=True)


_MATTERS_TO_HQ: frozenset[ActorRole] = OPERATORS | frozenset[ActorRole](("reader",))
REQUESTS: Mapping[type, Kind] = MappingProxyType(
    {
        Hello: _by_terminal("hello", Welcome, EVERYBODY),
        Post: _by_terminal("post", PostResult, POSTERS),
        Ping: _by_terminal("ping", None, EVERYBODY),
        Bye: _by_terminal("bye", ByeResult, EVERYBODY),
        CheckToken: Kind("check_token", bool, Cost.QUICK, ADMINS),
        FindSpeaker: Kind("find_speaker", Speaker, Cost.QUICK, ADMINS),
        Stock: Kind("stock", StockResult, Cost.PAGE, EVERYBODY),
        ListLevels: Kind("levels", LevelsPage, Cost.PAGE, _MATTERS_TO_HQ),
        History: Kind("history", HistoryResult, Cost.PAGE, EVERYBODY),
        FindPosting: Kind("posting", StoredPosting, Cost.QUICK, EVERYBODY),
        ListPostings: Kind("postings", PostingsResult, Cost.PAGE, EVERYBODY),
        ListCounts: Kind("counts", CountsResult, Cost.PAGE, EVERYBODY),
        ListTransfers: Kind("transfers", TransfersResult, Cost.PAGE, EVERYBODY),
        ListReservations: Kind("reservations", ReservationsResult, Cost.PAGE, EVERYBODY),
        ListSales: Kind("sales", SalesResult, Cost.PAGE, EVERYBODY),
        ListChanges: Kind("changes", ChangesResult, Cost.PAGE, EVERYBODY),
        StartFeed: Kind("watch", answers.FeedStart, Cost.QUICK, EVERYBODY),
        ReadFeed: Kind("feed", answers.FeedPage, Cost.PAGE, EVERYBODY),
        ShowOverview: _report("overview", answers.Overview, _MATTERS_TO_HQ),
        Reconcile: _report("reconcile", list[answers.Finding], _MATTERS_TO_HQ),
        ListWaiting: _report("waiting", list[answers.WaitingPosting], _MATTERS_TO_HQ),
        ListExceptions: Kind("exceptions", ExceptionsResult, Cost.PAGE, EVERYBODY),
        ListProducts: Kind("products", answers.Catalogue, Cost.LONG, _MATTERS_TO_HQ),
        ShowProduct: _report("product", answers.ProductCard, _MATTERS_TO_HQ, Cost.QUICK),
        FindBarcodes: Kind("barcodes", dict[str, tuple[str, int]], Cost.PAGE, _MATTERS_TO_HQ),
        ListClients: Kind(
            "clients", list[answers.Client], Cost.PAGE, OPERATORS, by_server=True, on_control_socket=True
        ),
        ShowMetrics: Kind("metrics", ServerMetrics, Cost.QUICK, _MATTERS_TO_HQ, by_server=True, on_control_socket=True),
        ShowFigures: _report("figures", LedgerFigures, _MATTERS_TO_HQ),
        ListTerminals: _report("terminals", list[answers.TerminalRow], OPERATORS),
        ListLocations: _report("locations", list[answers.LocationRow], _MATTERS_TO_HQ),
        ListAudit: _report("audit", list[answers.AuditEntry], OPERATORS),
        ListOrder: _report("order_list", OrderList, _MATTERS_TO_HQ, Cost.LONG),
        ListOrdered: _report("ordered", list[OrderMark], _MATTERS_TO_HQ),
        ListAlerts: _report("alerts", list[alerts.AlertRow], _MATTERS_TO_HQ),
        ShowObserver: _report("observer", alerts.ObserverState, _MATTERS_TO_HQ, Cost.QUICK),
        ListDue: Kind("due_deliveries", list[alerts.DueDelivery], Cost.QUICK, ADMINS),
        WatchLevels: Kind("watch_levels", list[alerts.WatchedLevel], Cost.PAGE, ADMINS),
        WatchTills: Kind("watch_tills", list[alerts.WatchedTill], Cost.PAGE, ADMINS),
        ProveLevels: Kind("prove_levels", alerts.ProvenLevels, Cost.PAGE, ADMINS),
        ListPartitions: Kind("partitions", list[answers.Part], Cost.PAGE, ADMINS),
        AdviseOnGrowth: Kind("advise_on_growth", str | None, Cost.QUICK, ADMINS),
        Verify: _report("verify", answers.Proof, ADMINS, Cost.LONG),
        Compare: Kind("compare", answers.Comparison, Cost.LONG, ADMINS),
        people.ListUsers: _report("users", list[people.UserRow], ADMINS),
        people.FindUser: Kind("find_user", people.Secret | None, Cost.QUICK, ADMINS),
        people.FindKey: Kind("find_key", people.KeyHolder | None, Cost.QUICK, ADMINS),
        ListCodes: Kind("enrol_begin", list[answers.ValidCode], Cost.QUICK, STRANGERS),
        RedeemCode: _change("enrol_finish", answers.Redeemed, STRANGERS, on_control_socket=False),
        Enrol: _change("enrol", None, ADMINS),
        RevokeTerminal: _change("revoke", None, ADMINS),
        RotateToken: _change("rotate", None, ADMINS),
        MoveTerminal: _change("move_terminal", None, ADMINS),
        AdoptTerminal: _change("adopt_terminal", None, ADMINS),
        people.AddUser: _change("add_user", None, ADMINS),
        people.ResetUser: _change("reset_user", None, ADMINS),
        people.SetUserRole: _change("set_user_role", None, ADMINS),
        people.RemoveUser: _change("remove_user", None, ADMINS),
        people.AddToken: _change("add_token", None, ADMINS),
        people.RemoveToken: _change("remove_token", None, ADMINS),
        people.RedeemLink: _change("redeem_link", str | None, STRANGERS),
        people.SetPassword: _change("set_password", bool, _MATTERS_TO_HQ),
        people.OpenSession: _change("open_session", bool, _MATTERS_TO_HQ),
        people.CloseSession: _change("close_session", None, _MATTERS_TO_HQ),
        SetLocation: _change("set_location", None, OPERATORS),
        RenameLocation: _change("rename_location", None, OPERATORS),
        ImportProducts: _change("import_products", int, OPERATORS),
        RemoveProduct: _change("remove_product", None, OPERATORS),
        ImportCounts: _change("import_counts", list[PostingResult], OPERATORS),
        MergeProducts: _change("merge_products", int, OPERATORS),
        ReopenPosting: _change("reopen", None, OPERATORS),
        SettleException: _change("settle", int, OPERATORS),
        MarkOrdered: _change("mark_as_ordered", int, OPERATORS),
        UnmarkOrdered: _change("unmark_as_ordered", int, OPERATORS),
        StartObserving: _note("start_observing", int),
        RecordAlerts: _note("record_alerts", list[int]),
        RecordDelivery: _note("record_delivery", bool),
        ResumeTarget: _change("resume_target", int, OPERATORS),
        RemoveTarget: _change("remove_target", int, OPERATORS),
        CloseBooks: _change("close_books", answers.ClosedBooks | None, ADMINS, Cost.LONG),
        MakePartitions: _partition_change("make_partitions", int),
        ArchivePartitions: _partition_change("archive", list[answers.ArchivedPart]),
        ReturnPartition: _partition_change("return_partition", answers.ArchivedPart | None),
        MarkMoved: _move("move", bool),
        UnmarkMoved: _move("unmove", str),
        # Not audited: the entry would be the only difference between the copy and its source.
        CopyFrom: Kind("copy", answers.Comparison, Cost.LONG, ADMINS, writes=True),
    }
)

TerminalRequest: TypeAlias = Hello | Post | Ping | Bye
"""Requests that the writer commits in groups."""
Administrative: TypeAlias = (
    Enrol
    | RedeemCode
    | RevokeTerminal
    | RotateToken
    | MoveTerminal
    | AdoptTerminal
    | people.AddUser
    | people.ResetUser
    | people.SetUserRole
    | people.RemoveUser
    | people.AddToken
    | people.RemoveToken
    | people.RedeemLink
    | people.SetPassword
    | people.OpenSession
    | people.CloseSession
    | SetLocation
    | RenameLocation
    | ImportProducts
    | ImportCounts
    | RemoveProduct
    | MergeProducts
    | ReopenPosting
    | SettleException
    | MarkOrdered
    | UnmarkOrdered
    | StartObserving
    | RecordAlerts
    | RecordDelivery
    | ResumeTarget
    | RemoveTarget
    | CloseBooks
    | MakePartitions
    | ArchivePartitions
    | ReturnPartition
    | MarkMoved
    | UnmarkMoved
    | CopyFrom
)
"""Administrators' changes, each in its own transactions."""
Change: TypeAlias = TerminalRequest | Administrative
Question: TypeAlias = (
    CheckToken
    | FindSpeaker
    | Stock
    | ListLevels
    | History
    | FindPosting
    | ListPostings
    | ListCounts
    | ListTransfers
    | ListReservations
    | ListSales
    | ListChanges
    | StartFeed
    | ReadFeed
    | ShowOverview
    | Reconcile
    | ListWaiting
    | ListExceptions
    | ListProducts
    | ShowProduct
    | FindBarcodes
    | ListClients
    | ShowMetrics
    | ShowFigures
    | ListCodes
    | people.ListUsers
    | people.FindUser
    | people.FindKey
    | ListTerminals
    | ListLocations
    | ListAudit
    | ListOrder
    | ListOrdered
    | ListAlerts
    | ShowObserver
    | ListDue
    | WatchLevels
    | WatchTills
    | ProveLevels
    | ListPartitions
    | AdviseOnGrowth
    | Verify
    | Compare
)
StoreRequest: TypeAlias = Change | Question


def terminal_of(work: TerminalRequest) -> str:
    """The terminal whose request it is."""
    return work.terminal if isinstance(work, Hello) else work.actor.terminal


def assert_allowed(request: StoreRequest) -> None:
    """RequestError `forbidden` where the role of the actor may not make `request`."""
    if not isinstance(request, Hello) and request.actor.role not in REQUESTS[type(request)].roles:
        name, role = REQUESTS[type(request)].name, request.actor.role
        raise RequestError(ErrorCode.forbidden, f"The role {role} may not call {name}: use another role.", role=role)
