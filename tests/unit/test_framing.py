"""Bytes to frames: wherever they are cut, and up to the limit."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pos_client.protocol.framing import (
    BLANK_BYTES_MAX,
    FrameChecksumWrong,
    FrameHeaderInvalid,
    FrameTooLong,
    FrameTruncated,
    FramingError,
    JsocketFramer,
    LineFramer,
    TooManyBlankLines,
    is_jsocket,
    jsocket_frame,
    may_become_jsocket,
)


def feed(framer: LineFramer, *pieces: bytes) -> list[bytes]:
    return [line for piece in pieces for line in framer.feed(piece)]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"a\n"], [b"a"]),
        ([b"a\r\n"], [b"a"]),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a\r\nb\r\n"], [b"a", b"b"]),
        ([b"a", b"b\n"], [b"ab"]),
        ([b"a\r", b"\nb", b"\n"], [b"a", b"b"]),
        ([b"a\nb", b"c\nd"], [b"a", b"bc"]),
        ([b"\n", b"\r\n", b"\n\n", b" \t", b"\n", b"\na\n\r", b"\n \nb\n"], [b"a", b"b"]),
        ([b"a\rb\n"], [b"a\rb"]),
        ([b""], []),
        ([b"abc"], []),
    ],
)
def test_lines_end_at_line_feeds_wherever_the_bytes_are_cut(pieces: list[bytes], lines: list[bytes]) -> None:
    assert feed(LineFramer(), *pieces) == lines


@given(st.lists(st.binary(max_size=12).filter(lambda line: not {10, 13} & set(line))), st.data())
def test_any_cut_of_the_same_bytes_gives_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    framer, found = LineFramer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += feed(framer, stream[:size])
        stream = stream[size:]
    assert found == [line for line in lines if line.strip(b" \t")]
    assert framer.pending_bytes == 0


@pytest.mark.parametrize("blank", [b"\n", b" \r\n"])
def test_blank_lines_are_dropped_up_to_a_limit_which_a_frame_begins_anew(blank: bytes) -> None:
    framer, most = LineFramer(), BLANK_BYTES_MAX // len(blank)
    for _ in range(2):
        assert feed(framer, *[blank] * most, b"a\n") == [b"a"]
    with pytest.raises(TooManyBlankLines):
        feed(framer, blank * (most + 1))


@pytest.mark.parametrize("pieces", [[b"12345678\n"], [b"1234", b"5678\n"], [b"12345678", b"\n"], [b"a\n12345678\n"]])
def test_a_line_of_exactly_the_limit_passes(pieces: list[bytes]) -> None:
    assert feed(LineFramer(9), *pieces)[-1] == b"12345678"


@pytest.mark.parametrize(
    "pieces",
    [[b"123456789\n"], [b"12345678\r\n"], [b"1234567890"], [b"12345", b"67890"], [b"12345", b"6789\n"]],
)
def test_a_longer_line_is_too_large_even_before_it_ends(pieces: list[bytes]) -> None:
    framer = LineFramer(9)
    with pytest.raises(FrameTooLong) as caught:
        feed(framer, *pieces)
    assert caught.value.limit_bytes == 9


def test_lines_before_one_that_is_too_large_are_still_given_out() -> None:
    lines = LineFramer(5).feed(b"a\nb\n123456789\nc\n")
    assert [next(lines), next(lines)] == [b"a", b"b"]
    with pytest.raises(FrameTooLong):
        next(lines)


def test_what_is_pending_is_counted() -> None:
    framer = LineFramer()
    feed(framer, b"one\ntw")
    assert framer.pending_bytes == 2


# ---------------------------------------------------------------------------------- jsocket frames


def fed(framer: JsocketFramer, *pieces: bytes) -> list[bytes]:
    return [frame for piece in pieces for frame in framer.feed(piece)]


def header(size: int, checksum: int, magic: bytes = b"JSN1") -> bytes:
    return struct.pack("!4sII", magic, size, checksum)


def test_a_jsocket_frame_is_magic_length_checksum_and_payload() -> None:
    assert jsocket_frame(b'{"a":1}\n') == header(7, zlib.crc32(b'{"a":1}')) + b'{"a":1}'


@given(st.lists(st.binary(min_size=1, max_size=12).filter(lambda text: text[-1] not in b"\r\n")), st.data())
def test_any_cut_of_the_same_bytes_gives_the_same_jsocket_frames(texts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(jsocket_frame, texts))
    framer, found = JsocketFramer(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += fed(framer, stream[:size])
        stream = stream[size:]
    assert found == texts
    assert framer.pending_bytes == 0
    framer.end()


@pytest.mark.parametrize(
    ("data", "error", "complaint"),
    [
        (header(3, 0x12345678) + b"abc", FrameChecksumWrong, "has CRC-32 352441c2, its header says 12345678"),
        (header(0, 0), FrameHeaderInvalid, "expected a JSON text, got a jsocket frame of length 0"),
        (header(3, 0, b"JSN2"), FrameHeaderInvalid, "which begins with b'JSN1', got b'JSN2'"),
        (jsocket_frame(b"1") + b'{"a":1}\n{"a"', FrameHeaderInvalid, """got b'{"a"'"""),
        (header(101, 0), FrameTooLong, "a jsocket frame of 101 bytes exceeds 100 bytes"),
        (header(0xFFFFFFFF, 0), FrameTooLong, "a jsocket frame of 4294967295 bytes exceeds 100 bytes"),
    ],
)
def test_a_bad_jsocket_frame_is_a_typed_error(data: bytes, error: type[FramingError], complaint: str) -> None:
    with pytest.raises(error, match=complaint.replace("{", r"\{")):
        fed(JsocketFramer(100), data)


@pytest.mark.parametrize("sent", [1, 11, 12, 14])
def test_a_stream_that_ends_inside_a_jsocket_frame_is_an_error(sent: int) -> None:
    framer = JsocketFramer()
    assert fed(framer, jsocket_frame(b"123")[:sent]) == []
    with pytest.raises(FrameTruncated, match=f"the stream ended {sent} bytes into a jsocket frame"):
        framer.end()


def test_a_payload_may_be_as_long_as_the_limit() -> None:
    assert fed(JsocketFramer(100), jsocket_frame(b"x" * 100)) == [b"x" * 100]


def test_a_line_cut_off_is_dropped() -> None:
    framer = LineFramer()
    assert feed(framer, b"half a li") == []
    framer.end()
    assert framer.pending_bytes == 0


@pytest.mark.parametrize(
    ("first", "may_become", "is_it"),
    [
        (b"", True, False),
        (b"J", True, False),
        (b"JSN", True, False),
        (b"JSN1", False, True),
        (b"JSN1{", False, True),
        (b"JSON", False, False),
        (b"{", False, False),
        (b"\n", False, False),
    ],
)
def test_the_first_bytes_tell_the_framings_apart(first: bytes, may_become: bool, is_it: bool) -> None:
    assert (may_become_jsocket(first), is_jsocket(first)) == (may_become, is_it)
