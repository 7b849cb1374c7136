"""A product and its quantity or price on the command line."""

from __future__ import annotations

import click
import pytest

from pos_client.commands.recording import LineParam, PriceParam


def test_the_text_after_the_last_equals_sign_is_the_quantity() -> None:
    line = LineParam().convert("a=b=2", None, None)
    assert (line.sku, line.quantity) == ("a=b", 2)
    assert PriceParam().convert("a=b=2", None, None) == ("a=b", 2)


@pytest.mark.parametrize("text", ["TEA=2=3", "TEA=-2=3", "TEA=0.5=3", "TEA= 2 =3", "TEA==3"])
@pytest.mark.parametrize(
    ("param", "what"), [(LineParam(), "quantity"), (LineParam("gtin"), "quantity"), (PriceParam(), "price")]
)
def test_two_numbers_are_refused(param: click.ParamType[object], what: str, text: str) -> None:
    with pytest.raises(click.BadParameter, match=f"expected one {what} after one =, got "):
        param.convert(text, None, None)
