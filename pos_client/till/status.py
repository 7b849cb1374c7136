"""`Status`: a snapshot of a till, for its display and for support."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, to_builtins

from pos_client.till.outbox_records import HeldPostings


class Status(Struct, frozen=True):
    """A snapshot of a till.

    `sending` is False while another process sends from the same outbox; `hq_ahead_seconds` is how far HQ's clock
    was ahead of the till's at HQ's last answer; `last_error` is None while there is no problem. While the till is
    `refused`, it says "HQ refused: …" and what to do. `location` is where the
    till is, None until it is known. `held` are the pending postings that another terminal made with this outbox: an
    operator has to let this one deliver them (`HeldPostings.advice`).
    """

    terminal: str
    lineage: UUID
    sending: bool
    connected: bool
    location: str | None
    epoch: int | None
    pending: int
    parked: int
    held: tuple[HeldPostings, ...]
    oldest_pending_at: datetime | None
    hq_ahead_seconds: float | None
    refused: bool
    last_error: str | None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data that `json.dumps` takes: ids and instants as text, `held` as a list of dicts."""
        plain: dict[str, Any] = to_builtins(self)
        return {**plain, "held": list(plain["held"])}
