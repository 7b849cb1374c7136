"""Targets of alerts: the file that names them, and one attempt to deliver to a webhook or a command."""

from __future__ import annotations

import socket
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec.json import decode

from inventory_server.admin.control_paths import lock_path
from inventory_server.domain.limits import ALERT_TARGETS_MAX
from inventory_server.observer.events import trial_event
from inventory_server.observer.limits import SECRET_BYTES_MAX, SECRET_BYTES_MIN, TARGETS_FILE_BYTES_MAX
from inventory_server.observer.lock import only_observer
from inventory_server.observer.sending import DeliveryRefusal, send
from inventory_server.observer.targets import CommandTarget, TargetsError, WebhookTarget, read_targets, shown_targets
from inventory_server.store import StoreError, StoreInUse
from tests.support.receiver import SECRET, Receiver, receiving

KEY = b64decode(SECRET.removeprefix("whsec_"))
NOW = 1_700_000_000_000_000
EVENT = trial_event("pager", NOW)
HOOK = 'webhook = "https://pager.example/in"\nsecret_file = "pager.secret"\n'


def targets_file(folder: Path, text: str, secret: str = SECRET, mode: int = 0o600) -> Path:
    kept = folder / "pager.secret"
    kept.write_text(f"{secret}\n")
    kept.chmod(mode)
    path = folder / "targets.toml"
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_a_file_names_webhooks_and_commands(tmp_path: Path) -> None:
    text = f'[pager]\n{HOOK}[desk]\ncommand = ["/bin/say", "--loud"]\n'
    found = read_targets(targets_file(tmp_path, text))
    assert found == {
        "pager": WebhookTarget(urlsplit("https://pager.example/in"), KEY),
        "desk": CommandTarget(("/bin/say", "--loud")),
    }
    assert shown_targets(found) == {"pager": "webhook https://pager.example/in", "desk": "command /bin/say --loud"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[pager", "cannot be read"),
        ("pager = 1", "target 'pager': Expected `object`"),
        ('["a b"]\ncommand = ["x"]', "target 'a b'"),
        ("[pager]\n", "expected webhook and secret_file, or command; got nothing"),
        (f'[pager]\n{HOOK}command = ["x"]', "got command, secret_file, webhook"),
        ('[pager]\nwebhook = "https://h/"', "got webhook"),
        ("[pager]\ncommand = []", "length >= 1"),
        ('[pager]\ncommand = ["x"]\nretry = 3', "unknown field `retry`"),
        (f"[pager]\n{HOOK.replace('https://pager.example/in', 'ftp://h/')}", "got 'ftp://h/'"),
        (f"[pager]\n{HOOK.replace('pager.example', 'kim:pw@h')}", "without user and fragment"),
        (f"[pager]\n{HOOK.replace('pager.example', 'h:99999')}", "got 'https://h:99999/in'"),
        (f"[pager]\n{HOOK.replace('pager.example/in', 'h/a b')}", "got 'https://h/a b'"),
        ("".join(f'[t{number}]\ncommand = ["x"]\n' for number in range(ALERT_TARGETS_MAX + 1)), "at most 20 targets"),
        (f"# {'x' * TARGETS_FILE_BYTES_MAX}", "expected at most 65,536 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(TargetsError) as refused:
        read_targets(targets_file(tmp_path, text))
    assert sentence in str(refused.value)


@pytest.mark.parametrize("size", [SECRET_BYTES_MIN - 1, SECRET_BYTES_MAX + 1])
def test_a_secret_is_as_long_as_standard_webhooks_says(tmp_path: Path, size: int) -> None:
    path = targets_file(tmp_path, f"[pager]\n{HOOK}", f"whsec_{b64encode(bytes(size)).decode()}")
    with pytest.raises(TargetsError, match="expected whsec_ and 24 to 64 bytes in base64, got"):
        read_targets(path)


@pytest.mark.parametrize("secret", ["whsec_ä", "whsec_no base64!", SECRET.removeprefix("whsec_")])
def test_a_secret_that_is_none_is_refused_and_not_shown(tmp_path: Path, secret: str) -> None:
    with pytest.raises(TargetsError) as refused:
        read_targets(targets_file(tmp_path, f"[pager]\n{HOOK}", secret))
    assert secret not in str(refused.value)


def test_others_may_neither_read_a_secret_nor_name_programs_to_run(tmp_path: Path) -> None:
    with pytest.raises(TargetsError, match="chmod 600"):
        read_targets(targets_file(tmp_path, f"[pager]\n{HOOK}", mode=0o640))
    path = targets_file(tmp_path, f"[pager]\n{HOOK}")
    path.chmod(0o666)
    with pytest.raises(TargetsError, match="chmod go-w"):
        read_targets(path)
    with pytest.raises(TargetsError, match="cannot be read"):
        read_targets(tmp_path / "missing.toml")


# ---------------------------------------------------------------------------------- webhooks


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def hook(receiver: Receiver) -> WebhookTarget:
    return WebhookTarget(urlsplit(f"{receiver.url}?to=kim"), KEY)


def test_a_webhook_gets_the_event_with_its_signature(receiver: Receiver) -> None:
    assert send(hook(receiver), EVENT, NOW) is None
    [received] = receiver.received
    assert received.id == f"test-{NOW}"
    assert received.headers["content-type"] == "application/cloudevents+json"
    assert received.headers["webhook-timestamp"] == str(NOW // 1_000_000)
    assert received.headers["webhook-signature"].startswith("v1,")
    assert received.event["type"] == "tillwire.alert.test"


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (200, None),
        (202, None),
        (302, DeliveryRefusal("HTTP 302 Found; redirects are not followed")),
        (410, DeliveryRefusal("HTTP 410 Gone", is_final=True)),
        (500, DeliveryRefusal("HTTP 500 Internal Server Error")),
    ],
)
def test_a_webhook_takes_an_event_by_a_status_of_success_alone(
    receiver: Receiver, status: int, refusal: DeliveryRefusal | None
) -> None:
    receiver.answer = (status, {"location": receiver.url}, b"")
    assert send(hook(receiver), EVENT, NOW) == refusal
    assert len(receiver.received) == 1


def test_a_body_of_a_response_is_not_read_to_its_end(receiver: Receiver) -> None:
    receiver.answer = (200, {"content-length": str(1 << 40)}, b"x" * 10_000)
    assert send(hook(receiver), EVENT, NOW) is None


def test_a_webhook_that_does_not_answer_is_given_up(receiver: Receiver) -> None:
    receiver.hold.clear()
    assert send(hook(receiver), EVENT, NOW, seconds=0.2) == DeliveryRefusal("no answer within 0.2 s")


def test_a_webhook_that_answers_byte_by_byte_is_given_up_all_the_same() -> None:
    """The time-out of a socket alone would begin anew with each byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = WebhookTarget(urlsplit(f"http://127.0.0.1:{listener.getsockname()[1]}/"), KEY)

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"H")
                        if over.wait(0.05):
                            return
                except OSError:
                    return

        over = threading.Event()
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert send(target, EVENT, NOW, seconds=0.3) == DeliveryRefusal("no answer within 0.3 s")
        finally:
            over.set()
            dripping.join()


def test_a_webhook_that_is_not_there_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refusal = send(WebhookTarget(urlsplit(f"http://127.0.0.1:{port}/"), KEY), EVENT, NOW)
    assert refusal is not None
    assert refusal.error.startswith("ConnectionRefusedError")


def test_plain_http_spoken_to_https_is_an_error_like_others(receiver: Receiver) -> None:
    refusal = send(WebhookTarget(urlsplit(receiver.url.replace("http:", "https:")), KEY), EVENT, NOW)
    assert refusal is not None
    assert "SSL" in refusal.error


# ---------------------------------------------------------------------------------- commands


def python(code: str, *arguments: str) -> CommandTarget:
    return CommandTarget((sys.executable, "-c", code, *arguments))


def test_a_command_gets_the_event_on_its_standard_input(tmp_path: Path) -> None:
    copy = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    assert send(python(copy, str(tmp_path / "event")), EVENT, NOW) is None
    assert decode((tmp_path / "event").read_bytes())["id"] == f"test-{NOW}"


def test_a_command_that_fails_or_is_not_there_says_so(tmp_path: Path) -> None:
    refusal = send(python("raise SystemExit(3)"), EVENT, NOW)
    assert refusal == DeliveryRefusal(f"{sys.executable} ended with exit code 3")
    refusal = send(CommandTarget((str(tmp_path / "none"),)), EVENT, NOW)
    assert refusal is not None
    assert "cannot be run" in refusal.error


def test_a_command_that_does_not_end_is_killed_with_what_it_started() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    assert send(python(code), EVENT, NOW, seconds=0.3) == DeliveryRefusal(f"{sys.executable} did not end within 0.3 s")


# ---------------------------------------------------------------------------------- one observer


def test_a_second_observer_is_told_of_the_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hq.db"
    with (
        only_observer(url),
        pytest.raises(StoreInUse, match=r"Process \d+ observes .*hq\.db already"),
        only_observer(url),
    ):
        raise AssertionError("two observers")
    with only_observer(url):
        assert lock_path(url, "observer").read_text().strip().isdecimal()


def test_a_lock_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be made"), only_observer(f"sqlite:///{tmp_path}/none/hq.db"):
        raise AssertionError("no folder")
