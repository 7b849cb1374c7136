"""Every frame of the corpus, and what mutation makes of it, is answered or ignored: never an incident."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.frame_corpus import CORPUS
from tests.unit.test_session_fuzz import check_answer

TOKENS = (
    *(b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"\\u0000", b"\\ud800", b"\x00", b"\xff", b"\xc3", b"\n", b"\r"),
    *(
        b"null",
        b"true",
        b"-",
        b"1e9",
        b"0",
        b"9223372036854775808",
        b'"id":',
        b'"method":"post"',
        b'"lines":',
        b'"ext":',
    ),
)


@pytest.mark.parametrize("name", CORPUS)
def test_a_frame_of_the_corpus_is_answered_or_ignored(name: str) -> None:
    check_answer(CORPUS[name])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A frame of the corpus with up to four cuts, copies, insertions and changed bytes."""
    frame = bytearray(CORPUS[draw(st.sampled_from(sorted(CORPUS)))])
    for _ in range(draw(st.integers(1, 4))):
        at, end = sorted(draw(st.tuples(*[st.integers(0, len(frame))] * 2)))
        change = draw(st.sampled_from(("cut", "copy", "insert", "replace", "splice")))
        if change == "cut":
            del frame[at:end]
        elif change == "copy":
            frame[end:end] = frame[at:end]
        elif change == "insert":
            frame[at:at] = draw(st.sampled_from(TOKENS))
        elif change == "replace":
            frame[at : at + 1] = draw(st.binary(min_size=1, max_size=2))
        else:
            other = CORPUS[draw(st.sampled_from(sorted(CORPUS)))]
            frame[at:end] = other[: draw(st.integers(0, len(other)))]
    return bytes(frame).replace(b"\n", b" ")


@given(mutated())
def test_what_mutation_makes_of_a_frame_is_answered_or_ignored(frame: bytes) -> None:
    check_answer(frame)


@pytest.mark.long
@settings(max_examples=20_000)
@given(mutated())
def test_what_mutation_makes_of_many_frames_is_answered_or_ignored(frame: bytes) -> None:
    check_answer(frame)
