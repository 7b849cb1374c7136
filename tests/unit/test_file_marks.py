"""Rows that programs mark as no sales are left out as told, and marks that nothing is said of are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.bring_in import bring_in

BASE: dict[str, Any] = {
    "source": "case",
    "columns": {"location": "Store", "basket": "No", "sku": "Item", "quantity": "Qty", "timestamp": "Date"},
}


def come(folder: Path, column: str, values: tuple[str, ...], changes: dict[str, Any]) -> tuple[dict[str, str], str]:
    """What comes of a file with a receipt for each of `values` of a column: of product A, then of B, …"""
    path = folder / "s.csv"
    rows = [f"N,{n},2026-03-14T09:41:00Z,{chr(64 + n)},1,{value}" for n, value in enumerate(values, start=1)]
    path.write_text("\n".join([f"Store,No,Date,Item,Qty,{column}", *rows]) + "\n")
    came = bring_in([path], None, BASE | changes)
    return came.stock, "\n".join(came.said)


VOID = {"skip": {"Status": ["Void"]}}
LEFT_OUT: list[tuple[str, tuple[str, ...], dict[str, Any], dict[str, str], str]] = [
    ("Status", ("Paid", "Void", "VOID", "void "), VOID, {"A": "-1"}, ""),
    ("Status", ("Paid", "VOID", "Voided"), VOID, {}, "'Status' has values that may mark rows to leave out, too"),
    ("Status", ("Paid", "Void", "Voided"), VOID | {"ignore": ["Status"]}, {"A": "-1", "C": "-1"}, ""),
    ("Status", ("Paid", "Void", "partially_refunded"), VOID, {"A": "-1", "C": "-1"}, ""),
    ("Void?", ("no", "TRUE"), {"skip": {"Void?": ["true"]}}, {"A": "-1"}, ""),
    ("Void?", ("no", "yes"), {"skip": {"Void?": ["true"]}}, {}, "('yes')"),
    ("Void?", ("falsch", "wahr"), {"skip": {"Void?": ["true"]}}, {}, "('wahr')"),
    ("Cancelled", ("", "2026-03-14"), {"skip": {"Cancelled": ["*"]}}, {"A": "-1"}, ""),
    ("Item2", ("total", "Total"), {"skip": {"Item": ["b"]}}, {"A": "-1", "B": "-1"}, ""),  # codes differ by case
    ("IsVoid", ("0", "1"), {}, {}, "'IsVoid' may mark rows"),
    ("VoidFlag", ("N", "Y"), {}, {}, "'VoidFlag' may mark rows"),
    ("IsCancelled", ("false", "true"), {}, {}, "'IsCancelled' may mark rows"),
    ("isVoided", ("1",), {}, {}, "'isVoided' may mark rows"),
    ("IsVoid", ("0", "0"), {}, {"A": "-1", "B": "-1"}, ""),
    ("Status", ("VOID",), {}, {}, "'Status' may mark rows"),
    ("Status", ("1",), {}, {"A": "-1"}, ""),
    ("Type", ("Sale", "Refund"), {}, {}, "'Type' may say which rows are no sales ('Sale', 'Refund')"),
    ("Transaction Type", ("SALE", "VOID"), {}, {}, "'Transaction Type' may say"),
    ("TransactionType", ("Sale", "Return"), {}, {}, "'TransactionType' may say"),
    ("Type", (*(f"kind {n}" for n in range(20)), "Refund"), {}, {}, "'Refund'"),
    ("Type", ("Shoes", "Training shoes", "Reversible"), {}, {"A": "-1", "B": "-1", "C": "-1"}, ""),
    ("Type", ("Sale", "Refund"), {"ignore": ["Type"]}, {"A": "-1", "B": "-1"}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("column", "values", "changes", "stock", "said"), LEFT_OUT)
def test_marks_of_rows_to_leave_out_are_obeyed_or_asked_for(
    column: str, values: tuple[str, ...], changes: dict[str, Any], stock: dict[str, str], said: str, tmp_path: Path
) -> None:
    came, told = come(tmp_path, column, values, changes)
    assert (came, said in told) == (stock, True), told
    assert bool(said) or not told
