"""What is sent of an alert: a CloudEvents 1.0 event in JSON, signed as Standard Webhooks has it."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from msgspec import Struct
from msgspec.json import encode

from inventory_server.domain.alerts import ADVICE, AlertEvent, AlertKind, DueDelivery
from pos_client.protocol.fields import Instant
from pos_client.protocol.units import SECOND_MICROS, instant

CONTENT_TYPE = "application/cloudevents+json"
EVENT_SOURCE = "/tillwire/observer"


class AlertData(Struct, frozen=True, omit_defaults=True):
    """The alert of an event; `location` is left out where it is of none, `closed_at` while it is open."""

    alert: int
    kind: AlertKind
    subject: str
    said: str
    what_to_do: str
    position: int
    since_at: Instant
    opened_at: Instant
    closed_at: Instant | None = None
    location: str | None = None


class CloudEvent(Struct, frozen=True):
    """An event in the structured JSON format of CloudEvents 1.0."""

    id: str
    source: str
    type: str
    subject: str
    time: Instant
    data: AlertData | None
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"


def event_of(due: DueDelivery, source: str = EVENT_SOURCE) -> CloudEvent:
    """The event of a delivery: the same for every attempt, so that a receiver knows a repeat by its id."""
    alert = due.alert
    said = (alert.number, alert.kind, alert.subject, alert.said, ADVICE[alert.kind], alert.position)
    closed_at = None if due.event == "opened" or alert.closed_at is None else instant(alert.closed_at)
    data = AlertData(*said, instant(alert.since_at), instant(alert.opened_at), closed_at, alert.location or None)
    subject = "/".join(quote(part, safe="") for part in (alert.kind, alert.location, alert.subject) if part)
    id_, at = event_id(alert.number, alert.opened_at, due.event), closed_at or instant(alert.opened_at)
    return CloudEvent(id_, source, f"tillwire.alert.{due.event}", subject, at, data)


def event_id(number: int, opened_at: int, event: AlertEvent) -> str:
    """The id of what happened to an alert; the instant tells it from that of a ledger that was restored."""
    return f"alert-{number}-{opened_at}-{event}"


def trial_event(name: str, now: int, source: str = EVENT_SOURCE) -> CloudEvent:
    """An event that tells nothing but that the target `name` can be reached."""
    return CloudEvent(f"test-{now}", source, "tillwire.alert.test", f"test/{name}", instant(now), None)


def body_of_event(event: CloudEvent) -> bytes:
    """The bytes that are signed and sent."""
    return encode(event)


def signed(event: CloudEvent, body: bytes, secret: bytes, now: int) -> Mapping[str, str]:
    """The headers of Standard Webhooks for a body that is sent at `now` (microseconds)."""
    timestamp = str(now // SECOND_MICROS)
    mac = hmac.digest(secret, b".".join((event.id.encode(), timestamp.encode(), body)), "sha256")
    signature = f"v1,{b64encode(mac).decode()}"
    return {"webhook-id": event.id, "webhook-timestamp": timestamp, "webhook-signature": signature}
