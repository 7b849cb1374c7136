"""Transfers in files: goods that one shop sent to another, and that it received."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pos_client.protocol import wire
from tests.support.bring_in import bring_in

SETTINGS: dict[str, Any] = {
    "source": "s",
    "columns": {
        "location": "From",
        "other_location": "To",
        "basket": "No",
        "sku": "Item",
        "quantity": "Qty",
        "timestamp": "Date",
        "type": "Kind",
    },
    "types": {"Out": "transfer_out", "In": "transfer_in", "Sale": "sale"},
    "time": {"zone": "UTC"},
}
HEAD = "From,To,No,Item,Qty,Date,Kind\n"
T = "2026-03-14T09:41:00"


def test_transfers_name_where_goods_go_to_and_come_from(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"N,S,1,A,2,{T},Out", f"N,S,1,B,1,{T},Out", f"S,N,1,A,2,{T},In", f"N,,2,A,1,{T},Sale"]
    path.write_text(HEAD + "\n".join(rows) + "\n")
    came = bring_in([path], None, {**SETTINGS, "columns": {**SETTINGS["columns"], "basket": ["From", "No"]}})
    assert (came.said, came.stock) == ([], {"A": "-1", "B": "-1"})
    bodies = [wire.decode_body(posting.body) for posting in came.postings]
    assert sorted((body.type, str(body.other_location)) for body in bodies) == [
        ("sale", "UNSET"),
        ("transfer_in", "N"),
        ("transfer_out", "S"),
    ]


def test_a_transfer_that_cannot_be_is_named_and_holds_its_receipt_back(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [
        *(f"N,N,1,A,2,{T},Out", f"N,,2,A,2,{T},Out", f"N,S,3,A,-2,{T},Out", f"N,S,4,A,2,{T},Out"),
        *(f"N,W,4,B,1,{T},Out", f"N,S,5,A,4,{T},Out"),
    ]
    path.write_text(HEAD + "\n".join(rows) + "\n")
    came = bring_in([path], None, SETTINGS)
    assert came.stock == {"A": "-4"}
    said = [line.removeprefix(f"{path}:") for line in came.said]
    assert said[0] == "2: To: expected another location than that of the row, got 'N'"
    assert said[1].startswith("3: To: expected a location of 1 to 64 characters")
    assert said[2].startswith("4: Qty: expected 0 or more on a transfer_out, got '-2'")
    assert said[3].startswith("6: basket 4: expected a transfer with 'S' as in line 5, got one with 'W'")
