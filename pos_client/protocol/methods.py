"""The methods of the protocol: what each takes and answers, and whether it may come before `hello`."""

from __future__ import annotations

from msgspec import Struct

from pos_client.protocol import enrolment, lists
from pos_client.protocol.feed import ChangedParams, LaggingParams, WatchParams, WatchResult
from pos_client.protocol.messages import (
    ByeParams,
    ByeResult,
    HelloParams,
    HelloResult,
    HistoryParams,
    HistoryResult,
    Message,
    NoParams,
    PingParams,
    PingResult,
    PostingParams,
    PostParams,
    PostResult,
    StockParams,
    StockResult,
    StoredPosting,
)


class Method(Struct, frozen=True):
    """One row of the method table: the types of its params and result, a summary, whether it may precede `hello`."""

    params: type[Message]
    result: type[Message] | None
    summary: str
    before_hello: bool = False


METHODS: dict[str, Method] = {
    "hello": Method(HelloParams, HelloResult, "Identify the terminal; raises a till's epoch.", before_hello=True),
    "enrol_begin": Method(
        enrolment.EnrolBeginParams,
        enrolment.EnrolBeginResult,
        "Begin to enrol with a one-time code: HQ proves first that it knows it.",
        before_hello=True,
    ),
    "enrol_finish": Method(
        enrolment.EnrolFinishParams,
        enrolment.EnrolFinishResult,
        "Prove to know the code, and get a token; closes the connection.",
        before_hello=True,
    ),
    "post": Method(PostParams, PostResult, "Post inventory transactions: one commit, one result each."),
    "stock": Method(StockParams, StockResult, "Stock levels, now or at T as known at K, with completeness."),
    "history": Method(HistoryParams, HistoryResult, "The movements of one sku in ledger order."),
    "posting": Method(PostingParams, StoredPosting, "One stored posting."),
    "postings": Method(
        lists.PostingsParams, lists.PostingsResult, "Postings by reference, terminal, type, flag and time."
    ),
    "counts": Method(
        lists.CountsParams, lists.CountsResult, "Counts with their variance then and now, and why it changed."
    ),
    "transfers": Method(lists.TransfersParams, lists.TransfersResult, "What is on the road, since when."),
    "reservations": Method(
        lists.ReservationsParams, lists.ReservationsResult, "What is reserved, by whom, until when."
    ),
    "sales": Method(lists.SalesParams, lists.SalesResult, "What was sold per product, location and business day."),
    "changes": Method(lists.ChangesParams, lists.ChangesResult, "What changed between two instants or positions."),
    "exceptions": Method(
        lists.ExceptionsParams, lists.ExceptionsResult, "What waits for a person, by cause, with its action."
    ),
    "watch": Method(WatchParams, WatchResult, "Report every change after a position, without gaps."),
    "unwatch": Method(NoParams, NoParams, "End `watch`."),
    "ping": Method(PingParams, PingResult, "Heartbeat; an input of completeness.", before_hello=True),
    "bye": Method(ByeParams, ByeResult, "End the session with control totals; closes it.", before_hello=True),
    "rpc.discover": Method(NoParams, None, "The OpenRPC document of this protocol.", before_hello=True),
}
NOTIFICATIONS: dict[str, type[Message]] = {"changed": ChangedParams, "lagging": LaggingParams}


def needs_hello(method: str) -> bool:
    """Whether `hello` must come before a request of this method; True for an unknown one."""
    row = METHODS.get(method)
    return row is None or not row.before_hello
