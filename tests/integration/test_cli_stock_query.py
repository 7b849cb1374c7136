"""`stock-query` shows what HQ knows, how complete it is, and what HQ does not know."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from inventory_server.domain.product import Product
from inventory_server.domain.requests import Enrol, ImportProducts
from pos_client.commands import stock_report
from pos_client.protocol.messages import ClosedTill, Completeness, Hole, SilentTill, StockItem
from pos_client.till.client import PosClient
from pos_client.transport.connection import Connection
from tests.support.commands import Done, Shell, headquarters
from tests.support.maintenance import change
from tests.support.waiting import HANG_SECONDS

NOW = datetime(2026, 3, 1, 15, tzinfo=UTC)
AT = datetime(2026, 3, 1, 14, 3, tzinfo=UTC)
DAYS_AGO = AT - timedelta(days=3)

SENTENCES = [
    (Completeness(AT, 2, [], [], 0), "A: complete to 14:03 (2 tills)"),
    (Completeness(DAYS_AGO, 1, [], [], 0), "A: complete to 2026-02-26 14:03 (1 till)"),
    (Completeness(None, 3, [], [], 0), "A: figures may be incomplete (3 tills)"),
    (Completeness(None, 3, [], [], 1), "A: figures may be incomplete (3 tills): 1 posting pending at the tills"),
    (Completeness(AT, 2, [], [], 0, [ClosedTill("T1", AT)]), "A: complete to 14:03 (2 tills, 1 closed)"),
    (
        Completeness(AT, 2, [], [], 0, [ClosedTill("T1", AT), ClosedTill("T2", AT)]),
        "A: complete to 14:03 (2 tills, all closed)",
    ),
    (
        Completeness(AT, 1, [], [Hole("T3", 2, 2)], 0, holes_total=4),
        "A: complete to 14:03 (1 till); posting 2 of T3 missing; 3 more ranges of postings missing",
    ),
    (Completeness(AT, 0, [], [], 0), "A: no tills"),
    (
        Completeness(
            AT, 9, [SilentTill("T7", AT), SilentTill("T8", DAYS_AGO)], [Hole("T3", 17, 19), Hole("T4", 2, 2)], 2
        ),
        (
            "A: complete to 14:03 (9 tills); T7 silent since 14:03; T8 silent since 2026-02-26 14:03; "
            "2 postings pending at the tills; postings 17–19 of T3 missing; posting 2 of T4 missing"
        ),
    ),
    (Completeness(AT, 1, [], [], 1), "A: complete to 14:03 (1 till); 1 posting pending at the tills"),
]


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Token files are written to the current folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("told", "sentence"), SENTENCES)
def test_completeness_in_plain_words(told: Completeness, sentence: str) -> None:
    assert stock_report.StockReport(NOW, UTC).completeness("A", told) == sentence


def test_a_level_as_a_row_of_the_table_and_of_csv() -> None:
    item = StockItem("x", "A", Decimal("1.5"), 0, Decimal("1E+2"), 24, 8, DAYS_AGO, AT, unlisted=True)
    row = stock_report.StockReport(NOW, UTC).row(item)
    assert row == ["x (unlisted)", "A", "1.5", "0", "100", "24", "8", "2026-02-26 14:03", "14:03"]
    assert len(row) == len(stock_report.COLUMNS)
    bare = StockItem("x", "A", 1, 0, 1, 0)
    assert stock_report.StockReport(NOW, UTC).row(bare)[6:] == ["", "", ""]
    assert stock_report.fields(bare) == ["x", "A", 1, 0, 1, 0, "", "", "", ""]
    assert stock_report.fields(item)[-1] == "unlisted"


@pytest.fixture(scope="module")
def hq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hq")
    with headquarters(folder, control=True) as (address, url):
        listed = [Product("apple", "Apples", "kg", 500_000, ("00000020000004",)), Product("pear", "Pears")]
        change(url, ImportProducts(listed))
        change(url, Enrol("buyer", "reader", "office", "secret"))
        with PosClient(address, terminal="A-1", location="A", outbox=folder / "a.db") as till:
            till.receive([("apple", "3.5"), ("pear", 10)])
            till.sell([("pear", 12), ("plum", 1)], reference="R-1001").wait(HANG_SECONDS)
        with PosClient(address, terminal="B-1", location="B", outbox=folder / "b.db") as till:
            till.receive([(f"sku{n:04}", n) for n in range(900)])
            till.receive([(f"sku{n:04}", n) for n in range(900, 1500)]).wait(HANG_SECONDS)
        with PosClient(address, terminal="C-1", location="C", outbox=folder / "c.db") as till:
            till.count([("fig", 3), ("kiwi", 2)], occurred_at=DAYS_AGO)
            earlier = DAYS_AGO - timedelta(hours=1)
            till.sell([("fig", "1.5")], occurred_at=earlier, reference="R-2\x1b")
            till.transfer_out([("fig", 3)], to="A", reference="T-1")
            till.reserve([("fig", "0.5")], reference="WEB-1").wait(HANG_SECONDS)
        yield address


@pytest.fixture
def reader(query: Query) -> None:
    """The questions are those of a terminal that may see all."""
    query.shell.env(TILLWIRE_TERMINAL="buyer")


@pytest.fixture
def query(hq: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Query:
    return Query(Shell(monkeypatch, capsys), hq)


class Query:
    def __init__(self, shell: Shell, address: str) -> None:
        self.shell = shell
        shell.env(TILLWIRE_SERVER=address, TILLWIRE_TERMINAL="asker")

    def __call__(self, *arguments: str) -> Done:
        return self.shell("stock-query", *arguments)

    def levels(self, *arguments: str) -> dict[tuple[str, str], str]:
        done = self(*arguments, "--format", "csv")
        assert done.code == 0, done.err
        return {(row["location"], row["sku"]): row["on_hand"] for row in csv.DictReader(done.out.splitlines())}


def test_the_table_shows_levels_and_the_completeness_below(query: Query) -> None:
    done = query("apple", "plum")
    assert done.code == 0
    lines = done.out.splitlines()
    assert any("apple" in line and "3.5" in line and " 5 " in line for line in lines)
    assert any("plum (unlisted)" in line and "-1" in line for line in lines)
    assert lines[-1].startswith("A: complete to ")


def test_json_is_what_the_protocol_says(query: Query) -> None:
    answer = json.loads(query("apple", "--format", "json").out)
    assert [(item["sku"], item["on_hand"]) for item in answer["items"]] == [("apple", 3.5)]
    assert answer["completeness"]["A"]["tills"] == 1
    assert answer["position"] == 8


def test_csv_leaves_the_completeness_to_stderr(query: Query) -> None:
    done = query("--location", "A", "--format", "csv")
    assert len(done.out.splitlines()) == 5
    assert done.err.startswith("A: complete to ")


FILTERS = [
    (["--below", "reorder_point"], {("A", "apple")}),
    (["--below", "reorder"], {("A", "apple")}),
    (["--below", "-1.5", "--location", "A"], {("A", "pear")}),
    (["--negative"], {("A", "pear"), ("A", "plum")}),
    (["--barcode", "20000004"], {("A", "apple")}),
    (["--known-at", "1", "pear"], {("A", "pear")}),
]


@pytest.mark.parametrize(("arguments", "keys"), FILTERS)
def test_the_filters_reach_hq(arguments: list[str], keys: set[tuple[str, str]], query: Query) -> None:
    assert query.levels(*arguments).keys() == keys


def test_the_past_can_be_asked_for(query: Query) -> None:
    assert query.levels("pear", "--known-at", "1") == {("A", "pear"): "10"}
    assert query.levels("pear", "--as-of", "2000-01-01T00:00:00") == {("A", "pear"): "0"}
    assert query.levels("pear", "--as-of", "2000-01-01") == {("A", "pear"): "0"}
    today = query.levels("pear", "--as-of", f"{datetime.now(UTC):%Y-%m-%d}")
    assert today == query.levels("pear"), "the day has not ended"
    assert query.levels("pear", "--known-at", "2999-01-01T00:00:00Z") == {("A", "pear"): "-2"}


def test_all_pages_are_fetched(query: Query) -> None:
    levels = query.levels("--location", "B")
    assert levels == {("B", f"sku{n:04}"): str(n) for n in range(1500)}


def test_the_history_of_a_product_is_a_command(query: Query, reader: None) -> None:
    done = query("history", "pear")
    cells = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines()[2:]]
    assert [(row[3], row[5], row[6]) for row in cells] == [("receipt", "10", "10"), ("sale", "-12", "-2")]
    assert "negative_stock" in cells[1][-1]
    told = json.loads(query("history", "pear", "--location", "A", "--json").out)
    assert [entry["on_hand_after"] for entry in told["entries"]] == [10, -2]
    assert query("history", "pear", "--to", "2000-01-01T00:00Z").code == 1
    done = query("history", "pera", "--location", "A")
    assert (done.code, done.out) == (1, "")
    assert (
        done.err
        == "stock-query: HQ has no movement of pera at A; check the spelling and the period. Did you mean pear?\n"
    )


def test_all_pages_of_a_history_are_fetched(query: Query, reader: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def short_pages(connection: Connection, method: str, params: Any = None, *seconds: float) -> Any:
        asked.append(method)
        params = structs.replace(params, limit=1) if method == "history" else params
        return request(connection, method, params, *seconds)

    request = Connection.request
    monkeypatch.setattr(Connection, "request", short_pages)
    assert len(json.loads(query("history", "pear", "--json").out)["entries"]) == asked.count("history") == 2


def test_postings_are_found_on_the_command_line(query: Query, reader: None) -> None:
    done = query("postings", "--reference", "R-1001")
    assert (done.code, done.err) == (0, "")
    [row] = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines()[2:]]
    assert (row[0], row[3], row[4], row[6], row[7]) == ("2", "sale", "A", "R-1001", "12 pear, 1 plum")
    [told] = json.loads(query("postings", "--of-terminal", "A-1", "--type", "receipt", "--json").out)["postings"]
    assert told["lines"][0] == {"sku": "apple", "quantity": 3.5}
    assert query("postings", "--flag", "orphan").out == "There is no such posting.\n"
    assert "895 more" not in query("postings", "--location", "B", "--from", "2000-01-01", "--to", "2000-01-02").out
    assert ", 895 more" in query("postings", "--location", "B").out
    done = query("postings", "--location", "nowhere")
    assert (done.code, done.err) == (1, "stock-query: HQ does not know location nowhere.\n")


def test_counts_are_listed_on_the_command_line(query: Query, reader: None) -> None:
    done = query("counts", "--location", "C")
    rows = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines()[2:]]
    assert [row[1:6] for row in rows] == [["C", "fig", "3", "+3", "+4.5"], ["C", "kiwi", "2", "+2", "+2"]]
    assert rows[0][-1] == "+1.5 sale R-2\\x1b of C-1 (#6)"
    [told] = json.loads(query("counts", "fig", "--off", "--json").out)["counts"]
    assert (told["variance_now"], told["changes"][0]["quantity"]) == (4.5, 1.5)
    assert query("counts", "--to", "2000-01-01").out == "There is no such count.\n"
    done = query("counts", "nope")
    assert (done.code, done.err) == (1, "stock-query: HQ does not know sku nope.\n")


def test_transfers_and_reservations_are_listed_on_the_command_line(query: Query, reader: None) -> None:
    done = query("transfers", "--location", "C")
    [row] = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines()[2:]]
    assert row[1:9] == ["C", "A", "fig", "3", "0", "0", "3", "T-1"]
    assert [each["left"] for each in json.loads(query("transfers", "fig", "--json").out)["transfers"]] == [3]
    assert query("transfers", "pear").out == "Nothing is on the road.\n"
    done = query("reservations")
    [row] = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines()[2:]]
    assert row[1:8] == ["", "C", "fig", "0.5", "0.5", "WEB-1", "C-1"]
    assert json.loads(query("reservations", "--json").out)["reservations"][0]["expires_at"] is None
    assert query("reservations", "--to", "2000-01-01").out == "Nothing is reserved.\n"


def test_sales_are_listed_on_the_command_line(query: Query, reader: None) -> None:
    done = query("sales", "fig")
    row, *complete = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines()[2:]]
    assert all(": complete to " in line for [line] in complete)
    assert {line[:2] for [line] in complete} >= {"A:", "C:"}
    assert row == ["2026-02-26", "C", "fig", "1.5", "0", "", "1.5"]
    [told] = json.loads(query("sales", "--location", "C", "--json").out)["sales"]
    assert (told["day"], told["quantity"], told["unpriced"]) == ("2026-02-26", 1.5, 1.5)
    assert query("sales", "--to", "2000-01-01", "--location", "A").out.startswith("Nothing was sold.\nA: complete to ")


def test_changes_are_listed_on_the_command_line(query: Query, reader: None) -> None:
    done = query("changes", "--from", "1", "--location", "A")
    rows = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines()[2:]]
    assert rows[:2] == [["A", "pear", "10", "-2", "-12", "sale -12"], ["A", "plum", "0", "-1", "-1", "sale -1"]]
    assert [line[:15] for [line] in rows[2:]] == ["A: complete to "]
    told = json.loads(query("changes", "pear", "--from", "2000-01-01", "--to", "2", "--json").out)
    assert (told["since"], told["position"], told["changes"][0]["after"]) == (0, 2, -2)
    assert query("changes", "--from", "2999-01-01").out.startswith("Nothing changed.\nA: complete to ")
    assert query("changes").code == 2


def test_exceptions_are_listed_on_the_command_line(query: Query, reader: None, monkeypatch: pytest.MonkeyPatch) -> None:
    done = query("exceptions", "--location", "A", "--flag", "negative_stock")
    rows = [[cell.strip() for cell in line.split("│")] for line in done.out.splitlines()[2:]]
    assert [row[:4] for row in rows] == [["negative_stock", sku, "A", "1"] for sku in ("pear", "plum")]
    assert rows[0][-1] == "count it, or enter the delivery that is missing"
    assert done.code == 1
    assert json.loads(query("exceptions", "--location", "A", "--json").out)["total"] == 3
    done = query("exceptions", "--flag", "orphan")
    assert (done.code, done.out) == (0, "Nothing waits for a person.\n")
    monkeypatch.setattr("inventory_server.store.admin.exceptions.EXCEPTIONS_DEFAULT", 2)
    assert query("exceptions", "--location", "A").err == "stock-query: 1 earlier causes are not shown.\n"


def test_who_asks_as_a_till_is_told_that_it_sees_its_own_location_alone(query: Query) -> None:
    done = query("postings")
    assert done.err == (
        "stock-query: asker is a till: it sees what concerns asker, a terminal with the role reader sees all.\n"
    )
    assert done.out == "There is no such posting.\n"


def test_on_a_development_server_the_command_sees_all_locations_unless_it_names_a_till(
    query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TILLWIRE_TERMINAL")
    done = query("exceptions", "--location", "A")
    assert (done.code, done.err) == (1, "")
    assert query("stock-query", "--location", "stock-query").err.count("HQ does not know") == 2, "it is at no location"


def test_a_sku_that_is_called_like_a_command_is_written_behind_dashes(query: Query) -> None:
    assert query("--", "history").err.startswith("stock-query: HQ does not know sku history.")
    assert query("stock", "apple").out == query("apple").out
    assert "history" in query("--help").out
    assert "--below" in query("--help").out


def test_names_are_shown_and_searched(query: Query) -> None:
    done = query("--search", "APP les")
    assert done.out.splitlines()[0].split()[:5] == ["sku", "┃", "name", "┃", "unit"]
    assert [cell.strip() for cell in done.out.splitlines()[2].split("│")][:5] == ["apple", "Apples", "kg", "A", "3.5"]
    assert query("--search", "APP les", "--no-names").out.split()[:3] == ["sku", "┃", "location"]
    assert query("plum").out.split()[:3] == ["sku", "┃", "location"], "nothing has a name"
    assert "name" not in json.loads(query("apple", "--json").out)["items"][0]
    assert json.loads(query("apple", "--json", "--names").out)["items"][0]["name"] == "Apples"
    rows = list(csv.DictReader(query("--location", "A", "--names", "--format", "csv").out.splitlines()))
    assert next((row["sku"], row["name"], row["unit"]) for row in rows) == ("apple", "Apples", "kg")
    done = query("--search", "cherry")
    assert done.code == 1
    assert done.err.startswith("stock-query: HQ does not know product named cherry.")
    assert query("--below", "4", "--net-of-transit", "--location", "A", "fig").code == 0


UNKNOWN = [
    (["nope"], 1, ["sku nope"]),
    (["nope", "apple"], 0, ["sku nope"]),
    (["aple"], 1, ["sku aple; did you mean apple?"]),
    (["1-appel"], 1, ["sku 1-appel; did you mean apple?"]),
    (["fgi"], 1, ["sku fgi; did you mean fig?"]),
    (["Rapple"], 1, ["sku Rapple; did you mean apple?"]),
    (["nope", "--location", "A"], 1, ["sku nope"]),
    (["apple", "--location", "Z"], 1, ["location Z"]),
    (["apple", "--location", "Z", "--location", "A"], 0, ["location Z"]),
    (["--barcode", "29999999"], 1, ["barcode 29999999"]),
]


@pytest.mark.parametrize(("arguments", "code", "named"), UNKNOWN)
def test_what_hq_does_not_know_is_named(arguments: list[str], code: int, named: list[str], query: Query) -> None:
    done = query(*arguments)
    assert done.code == code
    assert [line for line in done.err.splitlines() if "does not know" in line and line.startswith("stock-query")] == [
        f"stock-query: HQ does not know {one}{'' if one.endswith('?') else '.'}" for one in named
    ]
    assert "on hand" not in done.out or code == 0, "a table without rows"


def test_a_misspelt_question_is_told_from_a_product(query: Query) -> None:
    assert "is histroy the question history? See stock-query history --help" in query("histroy", "apple").err
    assert "the question" not in query("nope").err


BAD_USAGE = [
    (["--below", "reoder"], "got 'reoder'; is it reorder_point?"),
    (["postings", "--flag", "negative_stok"], "Is it 'negative_stock'?"),
    (["--below", "some"], "expected reorder_point or an exact number"),
    (["--as-of", "yesterday"], "expected an instant like 2026-03-01T14:00+01:00, got 'yesterday'"),
    (["--known-at", "-5"], "expected an instant"),
    (["--server", "a:b:c"], "is no address"),
    (["--server", "unix:/nowhere/hq.sock"], "cannot be reached"),
    (["--terminal", "a b"], "terminal"),
]


@pytest.mark.parametrize(("arguments", "reason"), BAD_USAGE)
def test_what_cannot_be_asked_is_refused_with_the_reason(arguments: list[str], reason: str, query: Query) -> None:
    done = query(*arguments)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err
    assert "Traceback" not in done.err


def test_without_a_token_a_real_server_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with headquarters(tmp_path, dev=False) as (address, _):
        done = Shell(monkeypatch, capsys)("stock-query", "--server", address)
    assert (done.code, done.out) == (2, "")
    assert "inventory-server terminal add" in done.err


ADD_READER = ("terminal", "add", "stock-query", "--location", "hq", "--role", "reader")
ENROLMENTS = [(False, ("reader", "stock-query")), (True, ("reader", "hq"))]


@pytest.mark.parametrize(("before", "known_as"), ENROLMENTS)
def test_in_development_mode_who_only_asks_holds_back_no_shop(
    before: bool,
    known_as: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    shell = Shell(monkeypatch, capsys)
    with headquarters(tmp_path, control=True) as (address, url):
        if before:
            shell("inventory-server", *ADD_READER, "--db", url)
        with PosClient(address, terminal="A-1", location="A", outbox=tmp_path / "a.db") as till:
            till.sell([("plum", 1)]).wait(HANG_SECONDS)
        done = shell("stock-query", "--server", address, "--format", "json")
        assert list(json.loads(done.out)["completeness"]) == ["A"]
        listed = json.loads(shell("inventory-server", "terminal", "list", "--json", "--db", url).out)
        assert [(row["role"], row["location"]) for row in listed if row["terminal"] == "stock-query"] == [known_as]
