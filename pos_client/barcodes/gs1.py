"""GS1 element strings and Digital Links as scans; needs the extra `barcodes` (biip)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pos_client.barcodes.currencies import ALPHABETIC
from pos_client.barcodes.scan import BarcodeError, Scan
from pos_client.protocol import gtin
from pos_client.protocol.units import Quantity, scaled, unscaled

if TYPE_CHECKING:
    from biip.gs1_element_strings import GS1ElementString

SEPARATOR = "\x1d"
"""What a scanner sends between element strings (FNC1)."""
_WEIGHTS = {"310": "kg", "320": "lb"}
_LINKS = ("http://", "https://")


def is_link(text: str) -> bool:
    """True if a text may be a Digital Link."""
    return text[:8].lower().startswith(_LINKS)


def read_gs1(raw: str, text: str) -> Scan:
    """What a Digital Link, or element strings (with their separators, or in brackets), say; BarcodeError if nothing."""
    elements: dict[str, GS1ElementString] = {}
    for element in _elements(raw, text):
        before = elements.setdefault(element.ai.ai, element)
        if before.value != element.value:
            said = f"{before.value} and {element.value}"
            raise BarcodeError(f"{raw!r}: expected the element ({element.ai.ai}) once, got {said}: scan it again.")
    product = elements.get("01") or elements.get("02")
    if product is None:
        found = ", ".join(f"({name})" for name in sorted(elements))
        raise BarcodeError(f"{raw!r} names no product: expected the element (01), got {found}.")
    try:
        code = gtin.checked(product.value)
    except ValueError as error:
        raise BarcodeError(f"{raw!r}: expected a GTIN with {error}, got {product.value}: scan it again.") from error
    told: dict[str, Any] = {name: _text(elements.get(ai)) for name, ai in (("lot", "10"), ("serial", "21"))}
    told |= {name: _date(elements.get(ai)) for name, ai in (("expires", "17"), ("best_before", "15"))}
    return Scan(raw, gtin=code, **_measure(raw, elements), **_money(raw, elements), **told)


def _elements(raw: str, text: str) -> list[GS1ElementString]:
    try:
        from biip import ParseConfig, ParseError
        from biip.gs1_digital_link_uris import GS1DigitalLinkURI
        from biip.gs1_messages import GS1Message
    except ImportError as error:
        raise BarcodeError(
            f"{raw!r} is a GS1 code with several elements: install what reads it (pip install 'tillwire[barcodes]')."
        ) from error
    # A date of zeros is no reason not to sell.
    config = ParseConfig(gs1_element_strings_verify_date=False, separator_chars=(SEPARATOR,))
    try:
        if is_link(text):
            return list(GS1DigitalLinkURI.parse(text, config=config).element_strings)
        if text.startswith("("):
            return list(GS1Message.parse_hri(text, config=config).element_strings)
        return list(GS1Message.parse(text.lstrip(SEPARATOR), config=config).element_strings)
    except (ParseError, ValueError) as error:
        raise BarcodeError(f"{raw!r} cannot be read as a GS1 code: {error}") from error


def _text(element: GS1ElementString | None) -> str | None:
    return None if element is None else element.value


def _date(element: GS1ElementString | None) -> Any:
    return None if element is None else element.date


def _measure(raw: str, elements: dict[str, GS1ElementString]) -> dict[str, Any]:
    """The weight or the number of pieces; of a weight in two units, the kilograms."""
    for family, unit in _WEIGHTS.items():
        for ai, element in elements.items():
            if ai.startswith(family):
                return {"quantity": _exact(raw, element.value, int(ai[3])), "unit": unit}
    for ai in ("30", "37"):
        if ai in elements:
            return {"quantity": _exact(raw, elements[ai].value, 0), "unit": "piece"}
    return {}


def _money(raw: str, elements: dict[str, GS1ElementString]) -> dict[str, Any]:
    """The price of the whole, if its currency is said: one without is of the shop's own."""
    for ai, element in elements.items():
        if ai.startswith("392"):
            return {"price": _exact(raw, element.value, int(ai[3]))}
        if ai.startswith("393") and (currency := ALPHABETIC.get(element.value[:3])):
            return {"price": _exact(raw, element.value[3:], int(ai[3])), "currency": currency}
    return {}


def _exact(raw: str, digits: str, decimals: int) -> Quantity:
    """The figure of an element, exactly; its application identifier says how many digits are behind the point."""
    try:
        return unscaled(scaled(Decimal(int(digits)).scaleb(-decimals)))
    except ValueError as error:
        raise BarcodeError(f"{raw!r}: expected {error}, got {digits} with {decimals} decimals.") from error
