"""The codec of the protocol: frames to messages and back, decoded strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from pos_client.protocol.decode_errors import request_error
from pos_client.protocol.errors import BY_NUMBER, BodyError, ErrorCode, RequestError
from pos_client.protocol.fields import PostingType, RequestId
from pos_client.protocol.limits import MAX_LINES
from pos_client.protocol.messages import Body, ErrorObject, Message, PostParams, Reply, Request
from pos_client.protocol.methods import METHODS
from pos_client.protocol.printable import printable
from pos_client.protocol.strict_json import check_body_strictly, has_no_more_strings, repeated_key
from pos_client.protocol.units import QUANTITY_MAX, Quantity, quantity_expected, scaled

JSON_WHITE_SPACE = b" \t\r\n"
"""All that may surround a JSON text; `bytes.strip()` would also remove form feeds and vertical tabs."""
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

ONLY_ON: Mapping[str, tuple[tuple[PostingType, ...], Mapping[PostingType, str]]] = MappingProxyType(
    {
        "voids": (("void",), {"void": "the id of the posting to reverse"}),
        "returns": (("return",), {}),
        "transfer": (("transfer_in", "transfer_close"), {"transfer_close": "the id of the transfer to close"}),
        "reason": (("transfer_close",), {"transfer_close": "why: lost, refused or mistake"}),
        "other_location": (("transfer_out", "transfer_in"), {"transfer_out": "the other location of the transfer"}),
        "reservation": (("sale", "release"), {}),
        "expires_at": (("reserve",), {}),
        "merge": (("merge",), {"merge": "the sku that ends"}),
        "into": (("merge",), {"merge": "the sku that takes over"}),
    }
)
"""Fields of a body that only some types have, and what is expected on those types that need them."""
_NEEDING_FIELDS = frozenset(kind for _, described in ONLY_ON.values() for kind in described)
_fields_of_some = attrgetter(*ONLY_ON)
_NONE_OF_THEM = (UNSET,) * len(ONLY_ON)
WITHOUT_LINES: tuple[PostingType, ...] = ("void", "merge")
"""The types that have no lines."""
SIGNED: tuple[PostingType, ...] = ("sale", "adjustment")
"""The types whose quantities may be negative: goods that come back in the same basket, and corrections."""

M = TypeVar("M", bound=msgspec.Struct)
T = TypeVar("T")
_encoder = msgspec.json.Encoder()
_request_decoder = msgspec.json.Decoder(Request)
_batch_decoder = msgspec.json.Decoder(list[Raw])
_reply_decoder = msgspec.json.Decoder(Reply)
_body_decoder = msgspec.json.Decoder(Body)
_params_decoders = {name: msgspec.json.Decoder(method.params) for name, method in METHODS.items()}


class _ResultLine(msgspec.Struct, kw_only=True):
    jsonrpc: str = "2.0"
    id: RequestId | None
    result: Any


class _ErrorLine(msgspec.Struct, kw_only=True):
    jsonrpc: str = "2.0"
    id: RequestId | None
    error: ErrorObject


class _Identified(msgspec.Struct):
    id: RequestId | None = None


_identified_decoder = msgspec.json.Decoder(_Identified)


def encode(message: Any) -> bytes:
    """`message` as one JSON line."""
    return _encoder.encode(message) + b"\n"


def encode_result(request_id: RequestId | None, result: Any) -> bytes:
    """The reply to request `request_id`, as one JSON line."""
    return _encoder.encode(_ResultLine(id=request_id, result=result)) + b"\n"


def encode_error(request_id: RequestId | None, error: RequestError) -> bytes:
    """The error reply to request `request_id` (None if unknown), as one JSON line."""
    return _encoder.encode(_ErrorLine(id=request_id, error=error_object(error))) + b"\n"


def encode_refusal(frame: bytes, error: RequestError) -> bytes:
    """The error reply to the invalid request `frame`, under its id if that can be read; two ids are none."""
    return encode_error(None if error.data.get("path") == "$.id" else known_id(frame), error)


def encode_body(body: Body) -> bytes:
    """The canonical bytes of a posting body; these are stored, hashed and resent."""
    return _encoder.encode(body)


def is_batch(frame: bytes) -> bool:
    """True if `frame` can only be a JSON-RPC batch."""
    return frame.lstrip(JSON_WHITE_SPACE).startswith(b"[")


def decode_frame(frame: bytes) -> Request | list[bytes]:
    """One frame as a request, or as the raw members of a batch; RequestError if it is neither."""
    try:
        if not frame.isascii():
            frame.decode()
        if is_batch(frame):
            return [bytes(member) for member in _batch_decoder.decode(frame)]
        return _decode_request(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise request_error(error, ErrorCode.invalid_request, frame) from error


def decode_member(member: bytes) -> Request:
    """One member of a batch as a request."""
    try:
        return _decode_request(member)
    except (msgspec.DecodeError, RecursionError) as error:
        raise request_error(error, ErrorCode.invalid_request, member) from error


def _decode_request(frame: bytes) -> Request:
    request = _request_decoder.decode(frame)
    canonical = _encoder.encode(request)
    if canonical != frame and not has_no_more_strings(frame, canonical):
        params = [] if isinstance(request.params, UnsetType) else [bytes(request.params)]
        _check_keys(frame, params, ErrorCode.invalid_request)
    return request


def _check_params_keys(params: object, raw: bytes) -> None:
    canonical = _encoder.encode(params)
    if canonical == raw:
        return
    if not isinstance(params, PostParams):
        _check_keys(raw, [], ErrorCode.invalid_params)
    elif not has_no_more_strings(raw, canonical):
        _check_keys(raw, [bytes(item.body) for item in params.postings], ErrorCode.invalid_params)


def _check_keys(raw: bytes, checked: Sequence[bytes], code: ErrorCode) -> None:
    """RequestError `code` if an object in `raw`, outside the values `checked`, holds a key twice."""
    if (steps := repeated_key(raw, checked)) is not None:
        path, expected, came = printable("$" + "".join(steps)), "every key once", f'"{printable(steps[-1][1:])}" twice'
        raise RequestError(code, f"{path}: expected {expected}, got {came}.", path=path, expected=expected, came=came)


def known_id(frame: bytes) -> RequestId | None:
    """The id of an invalid request, so that its sender can tell which one failed; None if it cannot be read."""
    try:
        return _identified_decoder.decode(frame).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def decode_params(request: Request) -> Message:
    """The typed params of `request`, whose method must be in the method table."""
    return decode_params_with(_params_decoders[request.method], request)


def decode_params_with(decoder: msgspec.json.Decoder[T], request: Request) -> T:
    """The params of `request` as `decoder` reads them; RequestError `invalid_params` where it cannot."""
    raw = b"{}" if isinstance(request.params, UnsetType) else request.params
    if request.method != "post" and _NUL.search(raw):  # in a posting body, only that posting is rejected
        expected, came = "text without NUL", "NUL"
        message = f"$: expected {expected}, got {came}."
        raise RequestError(ErrorCode.invalid_params, message, path="$", expected=expected, came=came)
    try:
        params = decoder.decode(raw)
        _check_params_keys(params, bytes(raw))
    except (msgspec.DecodeError, RecursionError) as error:
        raise request_error(error, ErrorCode.invalid_params, raw) from error
    return params


def decode_reply(frame: bytes) -> Reply:
    """One reply or server notification; RequestError `parse_error` for anything else."""
    try:
        return _reply_decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise request_error(error, ErrorCode.parse_error, frame) from error


def decode_result(reply: Reply, kind: type[M]) -> M:
    """The typed result of `reply`; raises RequestError if `reply` is an error."""
    if not isinstance(reply.error, UnsetType):
        raise from_error_object(reply.error)
    return _decoded(reply.result, kind)


def decode_notification(reply: Reply, kind: type[M]) -> M:
    """The typed params of a notification; RequestError if they are none of that type."""
    return _decoded(reply.params, kind)


def _decoded(raw: Raw | UnsetType, kind: type[M]) -> M:
    text = b"null" if isinstance(raw, UnsetType) else raw
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise request_error(error, ErrorCode.parse_error, bytes(text)) from error


def error_object(error: RequestError) -> ErrorObject:
    """The JSON-RPC error object of `error`."""
    data = {"name": error.code.name, "retryable": error.retryable, **error.data}
    return ErrorObject(error.code.number, error.message, data)


def from_error_object(error: ErrorObject) -> RequestError:
    """The exception of a JSON-RPC error object; an unlisted code counts as `internal`."""
    data = {key: value for key, value in error.data.items() if key not in ("name", "retryable")}
    return RequestError(BY_NUMBER.get(error.code, ErrorCode.internal), error.message, **data)


def decode_body(raw: bytes) -> Body:
    """A posting body, decoded strictly: BodyError for anything that JSON parsers interpret differently.

    Bytes that the canonical encoder reproduces, and that contain no escape, are unambiguous: no duplicate key,
    no non-canonical number, no NUL. Everything else goes through a strict, slower parser as well.
    """
    try:
        body = _body_decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        refused = request_error(error, ErrorCode.invalid_params, raw)
        raise BodyError(
            refused.data.get("path", "$"),
            refused.data.get("expected", "a posting body"),
            refused.data.get("came", refused.message),
        ) from error
    if not isinstance(body.ext, UnsetType) or b"\\" in raw or _encoder.encode(body) != raw:
        check_body_strictly(raw)
    return body


def readable_body(raw: bytes) -> Body | None:
    """The body in `raw`; None if it is not valid in this version of the protocol."""
    try:
        return decode_body(raw)
    except BodyError:
        return None


def check_body(body: Body, max_lines: int = MAX_LINES, quantity_max: int = QUANTITY_MAX) -> list[int]:
    """Check the rules that span fields; return the lines' quantities in units of 10⁻⁵.

    `quantity_max` is the largest quantity of a line, up or down.
    """
    if body.type in _NEEDING_FIELDS or _fields_of_some(body) != _NONE_OF_THEM:
        _check_fields(body)
    if body.type == "transfer_in" and body.other_location is UNSET and body.transfer is UNSET:
        raise BodyError("$.other_location", "where the goods come from, or the transfer they belong to", "nothing")
    if not isinstance(body.ext, UnsetType) and bytes(body.ext).lstrip()[:1] != b"{":
        raise BodyError("$.ext", "a JSON object", printable(bytes(body.ext).decode()))
    if body.type in WITHOUT_LINES:
        if not isinstance(body.lines, UnsetType):
            raise BodyError("$.lines", f"no lines on a {body.type}", f"{len(body.lines)} lines")
        return []
    if body.type == "transfer_close" and body.lines is UNSET:
        return []
    return _line_quantities(body, max_lines, quantity_max)


def _check_fields(body: Body) -> None:
    for name, (kinds, described) in ONLY_ON.items():
        if getattr(body, name) is UNSET:
            if body.type in described:
                raise BodyError(f"$.{name}", described[body.type], "nothing")
        elif body.type not in kinds:
            raise BodyError(f"$.{name}", f"this field only on a {' or a '.join(kinds)}", f"it on type {body.type}")


def _line_quantities(body: Body, max_lines: int, quantity_max: int) -> list[int]:
    lines = [] if isinstance(body.lines, UnsetType) else body.lines
    if not 1 <= len(lines) <= max_lines:
        raise BodyError("$.lines", f"1 to {max_lines} lines", str(len(lines)))
    quantities = []
    for at, line in enumerate(lines):
        if (line.sku is UNSET) == (line.gtin is UNSET):
            raise BodyError(f"$.lines[{at}]", "either a sku or a gtin", "both" if line.sku is not UNSET else "neither")
        quantity = _exact(line.quantity, at, "quantity", quantity_max)
        if quantity < 0 and body.type not in SIGNED:
            expected = f"0 or more on a {body.type} (only {' and '.join(SIGNED)} take negative quantities)"
            raise BodyError(f"$.lines[{at}].quantity", expected, printable(str(line.quantity)))
        quantities.append(quantity)
        if not isinstance(line.unit_price, UnsetType):
            _exact(line.unit_price, at, "unit_price")
    return quantities


def _exact(value: Quantity, line: int, field: str, maximum: int = QUANTITY_MAX) -> int:
    try:
        return scaled(value, maximum)
    except ValueError as error:
        raise BodyError(f"$.lines[{line}].{field}", quantity_expected(maximum), printable(str(value))) from error
