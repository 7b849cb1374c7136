"""The API answers questions and makes changes of the table of requests: by name, strictly, to whom it allows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from inventory_server.domain.product import Product
from inventory_server.domain.requests import REQUESTS, Enrol, ImportProducts, ListAudit, ListLocations
from inventory_server.web.calls import OFFERED_CALLS, is_change
from inventory_server.web.headers import SECURITY_HEADERS
from tests.support.ledgers import new_ledger
from tests.support.maintenance import ask, change
from tests.support.web import web, web_on_new_ledger

QUESTIONS = [name for name in OFFERED_CALLS if not is_change(name)]
NEEDED = {
    "history": "?sku=a",
    "posting": "?id=019ceb81-a1b2-7bd9-9d9a-d47c2ebdbb37",
    "product": "?sku=a",
    "changes": "?from=0",
    "barcodes": "?barcodes=04006381333931",
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = new_ledger(tmp_path_factory.mktemp("web") / "hq.db")
    change(url, ImportProducts([Product(sku="a", name="Apple")]))
    change(url, Enrol("T1", "till", "L1", "secret"))
    return url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[TestClient]:
    with web(url) as client:
        yield client


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_of_the_table_is_answered(name: str, client: TestClient) -> None:
    answer = client.get(f"/api/v1/{name}{NEEDED.get(name, '')}")
    if name in ("clients", "metrics"):  # no server runs
        assert (answer.status_code, answer.json()["name"]) == (503, "busy")
    elif name == "partitions":  # SQLite has none
        assert (answer.status_code, answer.json()["name"]) == (400, "invalid_request")
    elif name == "posting":
        assert (answer.status_code, answer.json()["name"]) == (404, "not_found")
    else:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"


def test_the_api_offers_every_question_and_change_that_is_not_about_a_connection() -> None:
    offered = {REQUESTS[each.request].name for each in OFFERED_CALLS.values() if each.request is not None}
    lacking = {kind.name for kind in REQUESTS.values()} - offered
    assert lacking == {
        *(
            "hello",
            "ping",
            "bye",
            "check_token",
            "find_speaker",
            "enrol_begin",
            "enrol_finish",
        ),  # of tills' connections
        *("post", "watch", "feed"),  # routes of their own
        *("import_products", "import_counts"),  # hold units of 10⁻⁵
        *("make_partitions", "archive", "return_partition"),  # made without a server
        *("find_user", "find_key", "add_user", "reset_user", "add_token", "redeem_link"),  # hold hashes
        *("set_password", "open_session", "close_session"),
        *("compare", "copy", "move", "unmove"),  # name other databases
        *("due_deliveries", "watch_levels", "watch_tills", "prove_levels"),  # the observer's
        *("start_observing", "record_alerts", "record_delivery"),
    }


def test_query_parameters_are_read_by_their_types(client: TestClient) -> None:
    assert client.get("/api/v1/stock?skus=a&skus=b&limit=5&negative=false").json()["unknown"] != []
    answer = client.get("/api/v1/stock?limit=many").json()
    assert (answer["name"], answer["path"]) == ("invalid_params", "$.limit")


@pytest.mark.parametrize(
    ("query", "path"),
    [("limt=5", "$.limt"), ("limit=1&limit=2", "$.limit"), ("sku=%00", "$"), ("limit=100000000", "$.limit")],
)
def test_a_wrong_query_is_named(query: str, path: str, client: TestClient) -> None:
    answer = client.get(f"/api/v1/stock?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["path"] == path
    assert answer.json()["status"] == 400


def test_instants_of_rows_carry_their_offset(client: TestClient) -> None:
    [row] = client.get("/api/v1/terminals").json()
    assert row["enrolled_at"].endswith("Z")
    assert row["revoked_at"] is None


def test_nobody_is_answered_without_signing_in(url: str) -> None:
    with web(url, None) as client:
        answer = client.get("/api/v1/stock")
        assert (answer.status_code, answer.json()["name"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_role_may_what_the_table_says(url: str) -> None:
    with web(url, "reader") as client:
        assert client.get("/api/v1/stock").status_code == 200
        assert client.get("/api/v1/audit").json()["name"] == "forbidden"
        assert client.post("/api/v1/set_location", json={"location": "L2"}).json()["name"] == "forbidden"


def test_every_response_has_the_headers_that_protect_a_browser(client: TestClient) -> None:
    for path in ("/api/v1/stock", "/api/v1/nothing", "/"):
        headers = client.get(path).headers
        assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_what_is_not_there_is_said_as_a_problem(client: TestClient) -> None:
    assert client.get("/api/v1/nothing").json()["name"] == "not_found"
    wrong = client.post("/api/v1/stock")
    assert (wrong.status_code, wrong.json()["name"]) == (405, "method_not_found")
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_a_change_is_made_by_the_server_and_audited_with_who_made_it(tmp_path: Path) -> None:
    with web_on_new_ledger(tmp_path, "operator") as (client, url):
        answer = client.post("/api/v1/set_location", json={"location": "L1", "time_zone": "Europe/Paris"})
        assert (answer.status_code, answer.json()) == (200, None)
        [row] = ask(url, ListLocations())
        [entry] = ask(url, ListAudit())
    assert (row.location, row.time_zone) == ("L1", "Europe/Paris")
    assert (entry.actor, entry.role, entry.source) == ("kim", "operator", "web test")


def test_a_change_that_is_refused_says_why(tmp_path: Path) -> None:
    with web_on_new_ledger(tmp_path) as (client, _):
        answer = client.post("/api/v1/revoke", json={"terminal": "T9"})
        assert (answer.status_code, answer.json()["name"]) == (400, "invalid_request")
        assert answer.json()["detail"].startswith("There is no terminal T9")
        twice = client.post("/api/v1/revoke", content=b'{"terminal":"T1","terminal":"T2"}')
        assert (twice.status_code, twice.json()["path"]) == (400, "$.terminal")


def test_nothing_is_changed_without_a_server(client: TestClient) -> None:
    answer = client.post("/api/v1/set_location", content=json.dumps({"location": "L1"}))
    assert (answer.status_code, answer.json()["name"], answer.headers["retry-after"]) == (503, "busy", "1")
