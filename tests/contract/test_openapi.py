"""The OpenAPI document is what the API does: made of the message types, and tried by a program that knows only it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator

from inventory_server.domain.product import Product
from inventory_server.domain.requests import Enrol, ImportProducts
from inventory_server.resources import schema_path
from inventory_server.web import admission
from inventory_server.web.api import routes
from inventory_server.web.describe import PREFIX, document
from inventory_server.web.sign_in import routes as sign_in_routes
from tests.support.ledgers import new_ledger
from tests.support.maintenance import change
from tests.support.web import SignedIn, application_of, written

LEFT_OUT = ("feed", "clients", "barcodes")
"""A stream does not end, no server with a port for tills runs here, and Schemathesis misreads an inline `prefixItems`.
"""


def test_the_document_is_made_of_the_messages_as_they_are() -> None:
    published = msgspec.json.decode(schema_path("openapi.json").read_bytes())
    assert published == msgspec.json.decode(msgspec.json.encode(document())), "run `make schema` and commit it"


def test_every_route_of_the_api_is_described_and_no_other() -> None:
    described = {(path, method.upper()) for path, item in document()["paths"].items() for method in item}
    served = {
        (str(each.path), method)  # type: ignore[attr-defined]
        for each in (*routes(), *sign_in_routes())
        for method in each.methods - {"HEAD"}  # type: ignore[attr-defined]
        if each.path.startswith(PREFIX)  # type: ignore[attr-defined]
    }
    assert described == served


def test_its_schemas_are_valid_and_hold_what_they_refer_to() -> None:
    made = document()
    for schema in made["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    named = set(re.findall(r'"#/components/schemas/(\w+)"', msgspec.json.encode(made).decode()))
    assert named <= set(made["components"]["schemas"])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The API of a small ledger, without rates, in which an admin is signed in."""
    import schemathesis  # here, as it takes seconds, which every process that collects tests would spend

    folder: Path = tmp_path_factory.mktemp("api")
    url = new_ledger(folder / "hq.db")
    change(url, ImportProducts([Product(sku="a", name="Apple")]))
    change(url, Enrol("T1", "till", "L1", "secret"))
    with pytest.MonkeyPatch.context() as patch, written(url):
        for name in (
            "REQUESTS_PER_SECOND",
            "REQUESTS_BURST_MAX",
            "PEER_REQUESTS_PER_SECOND",
            "PEER_REQUESTS_BURST_MAX",
        ):
            patch.setattr(admission, name, 1e9)
        with application_of(url, SignedIn("admin")) as application:
            yield schemathesis.openapi.from_asgi("/api/openapi.json", application)


OPERATIONS = pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path, item in document()["paths"].items()
        for method in item
        if path.removeprefix(f"{PREFIX}/") not in LEFT_OUT
    ],
)
_tried = settings(deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))


def attempt(operation: Any, examples: int) -> None:
    """Send what the document allows of an operation, and see that it is answered as the document says."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    answered = [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]

    @settings(_tried, max_examples=examples)
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        posts = {"Authorization": "Basic VDE6c2VjcmV0"} if "/postings" in case.path else {}
        case.call_and_validate(checks=[not_a_server_error, checks.negative_data_rejection, *answered], headers=posts)

    check()


@OPERATIONS
def test_what_the_document_allows_is_answered_as_it_says(path: str, method: str, api: Any) -> None:
    attempt(api[path][method], 2)


@pytest.mark.long
@OPERATIONS
def test_more_of_that_is_answered_as_the_document_says(path: str, method: str, api: Any) -> None:
    attempt(api[path][method], 50)
