"""What HQ does not know, in words."""

from __future__ import annotations

from pos_client.commands import stock_report
from pos_client.protocol.messages import UnknownItem


def test_what_is_unknown_in_words() -> None:
    named = [UnknownItem(sku="x"), UnknownItem(gtin="20000001"), UnknownItem(location="Z")]
    assert stock_report.unknown(named) == ["sku x", "barcode 20000001", "location Z"]
