"""Rows of receipts come out as they went in, however they are mixed; large files keep their bodies on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pos_client.files import body_spool
from pos_client.files.body_spool import BodySpool
from pos_client.files.packed_rows import PackedRows, RowPlaces
from pos_client.files.problems import FileError
from pos_client.protocol.messages import Line

orders = st.sampled_from([(), ("1",), ("02",), ("9" * 30,), ("b",), ("1", "x"), ("٣",)])


@given(st.lists(st.tuples(st.integers(0, 2), orders, st.sampled_from("ABC"), st.integers(-(2**62), 2**62))))
def test_rows_come_out_as_they_went_in(added: list[tuple[int, tuple[str, ...], str, int]]) -> None:
    lines = {sku: Line(1, sku) for sku in "ABC"}
    packed, places = PackedRows(), [RowPlaces() for _ in range(3)]
    for receipt, order, sku, micros in added:
        packed.add(places[receipt], order, lines[sku], micros)
    for receipt, here in enumerate(places):
        mine = [each for each in added if each[0] == receipt]
        found = packed.entries(here)
        assert here.rows == len(mine)
        assert [(line.sku, micros) for _, line, micros in found] == [(sku, micros) for _, _, sku, micros in mine]
        keys = [tuple((0, int(t), "") if t.isascii() and t.isdigit() else (1, 0, t) for t in each[1]) for each in mine]
        assert [order for order, _, _ in found] == keys
        assert all(packed.has_sku(here, lines[sku]) == (sku in {each[2] for each in mine}) for sku in "ABC")


@pytest.mark.parametrize("in_memory", [0, 1 << 20])
def test_bodies_are_read_back_from_wherever_they_are(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_spool, "BODY_BYTES_IN_MEMORY", max(in_memory, 1))
    spool = BodySpool()
    bodies = [b"%d" % n * (n + 1) for n in range(200)]
    places = [(spool.add(body), len(body)) for body in bodies]
    assert [spool.read(*place) for place in reversed(places)] == bodies[::-1]


def test_no_space_for_the_temporary_file_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_spool, "BODY_BYTES_IN_MEMORY", 1)
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    spool = BodySpool()
    spool._file._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises(FileError, match="cannot take the postings: No space left on device"):
        spool.add(b"xx")
