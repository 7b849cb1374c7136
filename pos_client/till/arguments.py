"""Arguments of the client's methods, checked and turned into fields of messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType, structs

from pos_client.protocol import wire
from pos_client.protocol.control_totals import stock_effect
from pos_client.protocol.decode_errors import request_error
from pos_client.protocol.errors import BodyError, ErrorCode
from pos_client.protocol.limits import ENVELOPE_BYTES, MAX_LINES
from pos_client.protocol.messages import Body, HelloParams, Limits, Line
from pos_client.protocol.printable import is_unicode, printable
from pos_client.till.basket_lines import LineLike, as_lines
from pos_client.till.policy import BODY_BYTES_MAX
from pos_client.till.posting import Posting


def checked(body: Body, limits: Limits | None) -> tuple[bytes, int]:
    """The bytes of a body as they are stored, and its effect on stock; BodyError if HQ would reject it.

    `limits` are those of HQ's last answer to `hello`, None before the first.
    """
    raw = encoded("$", body)
    most = BODY_BYTES_MAX if limits is None else min(BODY_BYTES_MAX, limits.max_frame_bytes - 2 * ENVELOPE_BYTES)
    if len(raw) > most:
        raise BodyError("$", f"at most {most:,} bytes", f"{len(raw):,}")
    max_lines = MAX_LINES if limits is None else limits.max_lines
    return raw, stock_effect(body.type, wire.check_body(wire.decode_body(raw), max_lines))


def encoded(path: str, value: Any) -> bytes:
    """`value` as JSON; BodyError if a text in it is not valid Unicode."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise BodyError(path, "text without lone surrogates", f'"{printable(error.object)}"') from error


def check_identity(terminal: str, token: str | None, location: str | None) -> None:
    """ValueError for a terminal, token or location that `hello` could not carry."""
    given = {"terminal": terminal, "token": token, "location": location}
    for field, value in given.items():
        if isinstance(value, str) and not is_unicode(value):
            raise ValueError(f"the {field} cannot be used: expected text without lone surrogates")
    raw = msgspec.json.encode({field: value for field, value in given.items() if value is not None})
    try:
        msgspec.json.decode(raw, type=HelloParams)
    except msgspec.ValidationError as error:
        told = request_error(error, ErrorCode.invalid_params, raw).data
        field = told["path"].removeprefix("$.")
        shown = "the token" if field == "token" else f"the {field} {told['came']}"
        raise ValueError(f"{shown} cannot be used: expected {told['expected']}") from error


def given(value: Any) -> Any:
    """`value`, or an absent field for None."""
    return UNSET if value is None else value


def named(posting: UUID | Posting | None) -> Any:
    """The id of a posting, or an absent field for None."""
    return posting.id if isinstance(posting, Posting) else given(posting)


def listed(name: str, values: Sequence[str] | None) -> list[str] | UnsetType:
    """`values` as a list; TypeError for a single text, which is a sequence of its letters."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{name} is a sequence of texts, not one: pass [{values!r}]")
    return UNSET if values is None else list(values)


def with_reason(lines: Iterable[LineLike], reason: str | None) -> Iterable[Line]:
    """`lines`, each with `reason` unless it has one."""
    for line in as_lines(lines):
        yield line if reason is None or line.reason is not UNSET else structs.replace(line, reason=reason)
