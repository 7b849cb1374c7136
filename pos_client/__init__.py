"""Tillwire's store side: sell now, deliver exactly once. Needs nothing but msgspec."""

from pos_client.client import PosClient
from pos_client.connection import Connection, request_once
from pos_client.errors import (
    BodyError,
    ConnectionLost,
    ErrorCode,
    OutboxError,
    OutboxInUse,
    RequestError,
    TillwireError,
)
from pos_client.handles import Basket, Posting, Status
from pos_client.messages import Line, PostingResult
from pos_client.outbox import Outbox
from pos_client.outbox_rows import Parked

__all__ = [
    "Basket",
    "BodyError",
    "Connection",
    "ConnectionLost",
    "ErrorCode",
    "Line",
    "Outbox",
    "OutboxError",
    "OutboxInUse",
    "Parked",
    "PosClient",
    "Posting",
    "PostingResult",
    "RequestError",
    "Status",
    "TillwireError",
    "request_once",
]
