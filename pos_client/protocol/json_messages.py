"""Messages of any JSON protocol: Python data to the bytes of one JSON text and back, nothing lost on the way."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from pos_client.protocol.errors import TillwireError

plain_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
"""Decodes any JSON text into plain Python data."""


class NotJson(TillwireError):
    """Bytes that are no JSON text, or data that no JSON text can hold; the message says what is wrong and where."""


def encode_message(message: Any) -> bytes:
    """`message` as one JSON text in UTF-8, without a line break; NotJson if it holds what JSON has no form for.

    Takes whatever msgspec encodes: plain data, dataclasses, Structs, datetimes, UUIDs, Decimals.
    """
    try:
        data = msgspec.json.encode(message)
        # msgspec writes NaN and infinities as null: another value would arrive than was sent.
        if b"null" in data and _has_non_number(msgspec.to_builtins(message)):
            raise NotJson("expected finite numbers, got NaN or an infinity, which JSON cannot express")
        return data if b"\n" not in data else msgspec.json.format(data, indent=-1)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise NotJson(f"expected data that JSON can express: {error}") from error


def decode_message(text: bytes, decoder: msgspec.json.Decoder[Any] = plain_decoder) -> Any:
    """The data of one JSON text; NotJson if it is none, or not of the type of `decoder`."""
    try:
        if not text.isascii():
            text.decode()  # msgspec does not check the bytes of every string
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson(f"expected a JSON text: {error}") from error


def _has_non_number(data: Any) -> bool:
    if isinstance(data, dict):
        return any(map(_has_non_number, data.values()))
    if isinstance(data, list | tuple):
        return any(map(_has_non_number, data))
    return isinstance(data, float) and not math.isfinite(data)
