"""Tillwire's client library for tills: record sales offline, deliver each exactly once. Requires only msgspec."""

from pos_client.protocol.errors import (
    BasketSold,
    BodyError,
    ConnectionLost,
    ErrorCode,
    FeedArchived,
    HqRefused,
    OutboxError,
    OutboxInUse,
    RequestError,
    TillwireError,
)
from pos_client.protocol.framing import FramingError
from pos_client.protocol.json_messages import NotJson
from pos_client.protocol.messages import Body, Line, PostingResult
from pos_client.till.basket import Basket
from pos_client.till.client import PosClient
from pos_client.till.outbox import Outbox
from pos_client.till.outbox_records import Parked
from pos_client.till.posting import Posting
from pos_client.till.posting_record import PostingRecord
from pos_client.till.status import Status
from pos_client.transport.connection import Connection
from pos_client.transport.json_client import JsonClient
from pos_client.transport.request_once import request_once
from pos_client.transport.tls_stream import ClientTls
from pos_client.transport.watch import Watch

__all__ = [
    "Basket",
    "BasketSold",
    "Body",
    "BodyError",
    "ClientTls",
    "Connection",
    "ConnectionLost",
    "ErrorCode",
    "FeedArchived",
    "FramingError",
    "HqRefused",
    "JsonClient",
    "Line",
    "NotJson",
    "Outbox",
    "OutboxError",
    "OutboxInUse",
    "Parked",
    "PosClient",
    "Posting",
    "PostingRecord",
    "PostingResult",
    "RequestError",
    "Status",
    "TillwireError",
    "Watch",
    "request_once",
]
