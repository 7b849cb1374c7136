"""The table of requests: complete, and the same for everybody who asks."""

from typing import get_args

import msgspec
import pytest

from inventory_server.admin.methods import ACT_AS, CONTROL_METHODS
from inventory_server.domain import requests
from inventory_server.domain.audited import SECRETS, audited_arguments
from inventory_server.domain.requests import REQUESTS, Cost, Enrol, ImportProducts
from inventory_server.domain.roles import EVERYBODY
from inventory_server.protocol.port import TILL_METHODS
from inventory_server.store.dispatch import ANSWERS, CHANGES, MAINTENANCE, SHORTCUTS

KINDS = pytest.mark.parametrize("request_type", REQUESTS, ids=lambda each: each.__name__)


@KINDS
def test_every_request_has_one_function_that_does_it(request_type: type) -> None:
    is_judged = request_type in get_args(requests.TerminalRequest)
    tables = [table for table in (ANSWERS, CHANGES, MAINTENANCE) if request_type in table]
    assert len(tables) + is_judged + REQUESTS[request_type].by_server == 1


@KINDS
def test_a_request_that_writes_is_a_change_and_no_other(request_type: type) -> None:
    assert REQUESTS[request_type].writes is (request_type in get_args(requests.Change))
    assert REQUESTS[request_type].writes is (request_type not in get_args(requests.Question))
    assert REQUESTS[request_type].is_grouped is (request_type in get_args(requests.TerminalRequest))


def test_no_function_is_for_a_request_that_the_table_does_not_know() -> None:
    assert {*ANSWERS, *CHANGES, *MAINTENANCE} <= set(REQUESTS)
    assert set(SHORTCUTS) <= set(ANSWERS)


def test_names_are_of_one_request_each() -> None:
    names = [kind.name for kind in REQUESTS.values()]
    assert len(names) == len(set(names))


def test_every_change_by_an_administrator_is_audited_but_the_one_that_must_leave_no_trace() -> None:
    unaudited = {each.__name__ for each in get_args(requests.Administrative) if not REQUESTS[each].is_audited}
    of_observer = {"StartObserving", "RecordAlerts", "RecordDelivery"}  # what a program notes all day long
    assert unaudited - of_observer == {"CopyFrom"}, "an entry would be the one row in which a copy differs"
    assert of_observer <= unaudited
    assert {each.__name__ for each, kind in REQUESTS.items() if kind.keeps_caches} == of_observer


def test_a_change_of_many_transactions_costs_as_much_as_it_says() -> None:
    assert {REQUESTS[each].cost for each in MAINTENANCE} == {Cost.LONG}


@pytest.mark.parametrize("methods", [TILL_METHODS, CONTROL_METHODS], ids=["till", "control"])
def test_who_may_call_a_method_is_said_by_the_table_alone(methods: dict[str, object]) -> None:
    for name, method in methods.items():
        request = method.request  # type: ignore[attr-defined]
        assert method.roles == (EVERYBODY if request is None else REQUESTS[request].roles)  # type: ignore[attr-defined]
        assert request is None or REQUESTS[request].name == name


def test_the_control_socket_offers_no_hello_and_postings_to_no_administrator() -> None:
    assert "hello" not in CONTROL_METHODS
    assert "admin" not in CONTROL_METHODS["post"].roles
    assert ACT_AS in CONTROL_METHODS


def test_the_audit_trail_keeps_no_secret_and_of_a_list_its_length() -> None:
    assert audited_arguments(Enrol("T1", "till", "L1", "secret")) == {
        "terminal": "T1",
        "role": "till",
        "location": "L1",
    }
    imported = ImportProducts([], columns=("sku", "name"))
    assert audited_arguments(imported) == {"products": 0, "suppliers": 0, "columns": ("sku", "name")}


def test_every_text_of_an_audited_request_is_known_to_be_a_secret_or_none() -> None:
    """Where this fails, a new field needs a decision: add it here, or to `SECRETS`."""
    texts = {
        field.name
        for request, kind in REQUESTS.items()
        if kind.is_audited
        for field in msgspec.structs.fields(request)
        if field.name != "actor" and "str" in str(field.type)
    }
    assert texts - SECRETS == {
        "terminal",
        "location",
        "user",
        "label",
        "by",
        "name",
        "time_zone",
        "subject",
        "columns",
        "to",
        "merge",
        "into",
        "sku",
        "target",
    }
