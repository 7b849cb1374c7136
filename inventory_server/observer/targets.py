"""The file of targets: who is told of alerts, by a webhook or a command. Only its owner may change it."""

from __future__ import annotations

import tomllib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Meta, Struct

from inventory_server.domain.alerts import TargetName
from inventory_server.domain.limits import ALERT_TARGETS_MAX
from inventory_server.observer.limits import SECRET_BYTES_MAX, SECRET_BYTES_MIN, TARGETS_FILE_BYTES_MAX
from pos_client.protocol.errors import TillwireError

_STARTS_WITH = "whsec_"
_WRITABLE_BY_OTHERS, _OPEN_TO_OTHERS = 0o022, 0o077


class TargetsError(TillwireError):
    """The file of targets cannot be used as it is: one sentence with the next step."""


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    webhook: str | None = None
    secret_file: str | None = None
    command: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(min_length=1)] | None = None


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """A target that takes events by HTTP POST, signed with `secret`."""

    url: SplitResult
    secret: bytes


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A target that takes events on the standard input of a command."""

    arguments: tuple[str, ...]


AlertTarget = WebhookTarget | CommandTarget


def read_targets(path: Path) -> dict[str, AlertTarget]:
    """The targets in the TOML file `path`, by name; TargetsError if it cannot be used."""
    try:
        if path.stat().st_mode & _WRITABLE_BY_OTHERS:
            raise TargetsError(f"{path} names programs to run and others may write to it: chmod go-w {path}")
        with path.open("rb") as file:
            raw = file.read(TARGETS_FILE_BYTES_MAX + 1)
        if len(raw) > TARGETS_FILE_BYTES_MAX:
            raise TargetsError(f"{path}: expected at most {TARGETS_FILE_BYTES_MAX:,} bytes, got more.")
        read = tomllib.loads(raw.decode())
    except (OSError, ValueError) as error:
        raise TargetsError(f"The targets {path} cannot be read: {error}.") from error
    if len(read) > ALERT_TARGETS_MAX:
        raise TargetsError(f"{path}: expected at most {ALERT_TARGETS_MAX} targets, got {len(read)}.")
    return {name: _target(path, name, table) for name, table in read.items()}


def _target(path: Path, name: str, table: Any) -> AlertTarget:
    try:
        msgspec.convert(name, TargetName)
        entry = msgspec.convert(table, _Entry)
    except msgspec.ValidationError as error:
        raise TargetsError(f"{path}, target {name!r}: {error}; see docs/alerts.md.") from error
    if entry.command is not None and entry.webhook is None and entry.secret_file is None:
        return CommandTarget(tuple(entry.command))
    if entry.webhook is not None and entry.secret_file is not None and entry.command is None:
        return WebhookTarget(_url(path, name, entry.webhook), read_secret(path.parent / entry.secret_file))
    given = ", ".join(sorted(table)) or "nothing"
    raise TargetsError(f"{path}, target {name!r}: expected webhook and secret_file, or command; got {given}.")


def _url(path: Path, name: str, text: str) -> SplitResult:
    wrong = f"{path}, target {name!r}: expected a webhook https://HOST/PATH without user and fragment, got {text!r}."
    try:
        url = urlsplit(text)
        is_usable = url.scheme in ("https", "http") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError as error:
        raise TargetsError(wrong) from error
    has_more = "@" in url.netloc or url.fragment or not text.isascii() or not text.isprintable() or " " in text
    if not is_usable or has_more:
        raise TargetsError(wrong)
    return url


def read_secret(path: Path) -> bytes:
    """The secret of a webhook in a file that only its owner may read: `whsec_` and base64, as its receiver has it."""
    try:
        if path.stat().st_mode & _OPEN_TO_OTHERS:
            raise TargetsError(f"{path} holds a secret and others may read it: chmod 600 {path}")
        text = path.read_text("ascii").strip()
        secret = b64decode(text.removeprefix(_STARTS_WITH), validate=True)
    except (OSError, ValueError) as error:
        raise TargetsError(f"The secret {path} cannot be read: {error}.") from error
    if not text.startswith(_STARTS_WITH) or not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        expected = f"{_STARTS_WITH} and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64"
        raise TargetsError(f"{path}: expected {expected}, got {len(text)} characters that are something else.")
    return secret


def shown_targets(targets: Mapping[str, AlertTarget]) -> dict[str, str]:
    """Each target in words, without its secret."""
    return {
        name: f"webhook {each.url.geturl()}"
        if isinstance(each, WebhookTarget)
        else f"command {' '.join(each.arguments)}"
        for name, each in targets.items()
    }
