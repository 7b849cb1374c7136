"""A till's program can ask whatever the protocol lets anybody ask, by methods with the same arguments."""

from __future__ import annotations

import inspect
from datetime import date
from typing import Any

import msgspec
import pytest

from pos_client.protocol.methods import METHODS
from pos_client.till.list_methods import Listing, ListMethods
from pos_client.till.query_methods import QueryMethods

METHODS_OF_A_TILL = {
    name: method
    for kind in (QueryMethods, ListMethods)
    for name, method in inspect.getmembers(kind, inspect.isfunction)
    if not name.startswith("_")
}
NAMED_OTHERWISE = {"from": "since", "to": "until", "id": "posting"}
FOR_ONE = {"sku": "skus", "location": "locations"}
"""What the protocol takes in two ways, a method takes in one."""


class Asked(QueryMethods, ListMethods):
    """Asks nobody, and keeps what would be sent."""

    sent: Any = None

    def _ask(self, method: str, params: Any, timeout: float) -> Any:
        self.sent = msgspec.json.decode(msgspec.json.encode(params))


def arguments(name: str) -> set[str]:
    """The names of the arguments of a method, those of every list included."""
    taken = set(inspect.signature(METHODS_OF_A_TILL[name]).parameters) - {"self", "timeout"}
    return taken - {"listing"} | set(Listing.__annotations__) if "listing" in taken else taken


@pytest.mark.parametrize("name", sorted(METHODS_OF_A_TILL))
def test_a_method_takes_every_field_of_the_question(name: str) -> None:
    fields = {field.encode_name for field in msgspec.structs.fields(METHODS[name].params)}
    fields -= {one for one, many in FOR_ONE.items() if many in fields}
    assert arguments(name) == {NAMED_OTHERWISE.get(field, field) for field in fields}


def test_stock_is_asked_as_it_was_meant() -> None:
    till = Asked()
    till.stock(below="reorder_point", net_of_transit=True, names=True, search="green tea")
    assert till.sent == {"below": "reorder_point", "net_of_transit": True, "names": True, "search": "green tea"}
    till.stock(gtin="4006381333931", as_of=date(2026, 3, 14), known_at=7)
    assert till.sent == {"gtin": "4006381333931", "as_of": "2026-03-14", "known_at": 7}
