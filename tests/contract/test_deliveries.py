"""What is delivered keeps two public promises: Standard Webhooks' signature and CloudEvents' format."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime

import msgspec
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.v1.event import CloudEvent as OfficialEvent
from standardwebhooks.webhooks import Webhook as OfficialWebhook
from standardwebhooks.webhooks import WebhookVerificationError

from inventory_server.clock import now_microseconds
from inventory_server.domain.alerts import ADVICE, AlertRow, DueDelivery
from inventory_server.observer.events import CONTENT_TYPE, body_of_event, event_of, signed, trial_event
from tests.support.receiver import SECRET

NOW = 1_700_000_000_123_456
ALERT = AlertRow(7, "reorder_point", "L 1/ü", "a", 41, NOW - 5, NOW, "a at L 1/ü: 9 available, reorder point 10", None)
CLOSED = AlertRow(*(getattr(ALERT, name) for name in AlertRow.__slots__[:-1]), NOW + 9)  # type: ignore[call-arg]
EVENTS = {
    "opened": event_of(DueDelivery("pager", NOW, "opened", 0, 0, ALERT)),
    "closed": event_of(DueDelivery("pager", NOW, "closed", 3, 3, CLOSED)),
    "test": trial_event("pager", NOW),
}
KEY = b64decode(SECRET.removeprefix("whsec_"))


@pytest.mark.parametrize("name", EVENTS)
def test_the_official_package_finds_the_signature_right(name: str) -> None:
    body = body_of_event(EVENTS[name])
    headers = dict(signed(EVENTS[name], body, KEY, now_microseconds()))
    OfficialWebhook(SECRET).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        OfficialWebhook(SECRET).verify(body + b" ", headers)


def test_the_signature_is_that_of_the_published_example() -> None:
    payload = b'{"test": 2432232314}'
    example = msgspec.structs.replace(trial_event("pager", NOW), id="msg_p5jXN8AQM9LWM0D4loKWxJek")
    headers = signed(example, payload, KEY, 1_614_265_330_000_000)
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def read(name: str) -> OfficialEvent:
    message = HTTPMessage({"content-type": CONTENT_TYPE}, body_of_event(EVENTS[name]))
    event = from_structured_event(message)
    assert isinstance(event, OfficialEvent)
    return event


@pytest.mark.parametrize("name", EVENTS)
def test_the_official_package_reads_the_event(name: str) -> None:
    event = read(name)
    assert (event.get_specversion(), event.get_type()) == ("1.0", f"tillwire.alert.{name}")
    assert (event.get_source(), event.get_datacontenttype()) == ("/tillwire/observer", "application/json")
    assert event.get_id() == EVENTS[name].id


def test_an_event_says_what_the_alert_is_about_when_and_what_to_do() -> None:
    opened, closed = read("opened"), read("closed")
    assert opened.get_subject() == "reorder_point/L%201%2F%C3%BC/a"
    assert opened.get_time() == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    data = opened.get_data()
    assert isinstance(data, dict)
    assert (data["alert"], data["kind"], data["location"], data["subject"]) == (7, "reorder_point", "L 1/ü", "a")
    assert (data["said"], data["what_to_do"]) == (ALERT.said, ADVICE["reorder_point"])
    assert (data["position"], data["opened_at"]) == (41, "2023-11-14T22:13:20.123456Z")
    assert "closed_at" not in data
    after = closed.get_data()
    assert isinstance(after, dict)
    assert after["closed_at"] == "2023-11-14T22:13:20.123465Z"
    assert opened.get_id() != closed.get_id()


def test_every_attempt_sends_the_same_bytes_under_the_same_id() -> None:
    """Also of an opening that is sent late, when the alert is closed already."""
    once = event_of(DueDelivery("pager", NOW, "opened", 0, 0, ALERT))
    again = event_of(DueDelivery("pager", NOW, "opened", 9, 9, CLOSED))
    assert body_of_event(once) == body_of_event(again)
