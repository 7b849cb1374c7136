"""`inventory-server stock import`: opening stock and stock-takes from a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Done, Shell, headquarters
from tests.support.ledgers import HOUR, NOON, Till, body, opened, stock

Command = Callable[..., Done]
AT = "2023-11-15T12:00:00Z"  # after NOON, an evening in November 2023


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """The command `inventory-server` on a ledger with the locations north and south; tea was delivered to north."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILLWIRE_DB", f"sqlite:///{tmp_path / 'hq.db'}")
    shell = partial(Shell(monkeypatch, capsys), "inventory-server")
    with opened(tmp_path / "hq.db") as store:
        Till(store, "N1", "north").post(body("receipt", ("TEA", 5)))
        Till(store, "S1", "south").post(body("receipt", ("TEA", 1)))
    (tmp_path / "p.csv").write_text("sku,barcode\nMUG,40000008\nTEA,\nRICE,\n")
    assert shell("catalog", "import", "p.csv").code == 0
    return shell


def on_hand(tmp_path: Path) -> dict[str, dict[str, Any]]:
    with opened(tmp_path / "hq.db") as store:
        found: dict[str, dict[str, Any]] = {}
        for item in stock(store).items:
            if item.location is not None:
                found.setdefault(item.location, {})[item.sku] = item.on_hand
        return found


def told(done: Done) -> Any:
    return json.loads(done.out)


def test_a_sheet_is_shown_against_the_ledger_then_posted_once(command: Command, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "Stock of November\nsku,barcode,quantity,location,shelf\nTEA,,7.5,north,A\n,40000008,3,north,B\nRICE,,,north,\n"
    )
    imported = partial(command, "stock", "import", "s.csv", "--at", AT)
    shown = imported("--dry-run")
    assert (shown.code, shown.err) == (0, "Ignored columns: shelf.\n")
    assert "│ TEA" in shown.out
    assert "+2.5" in shown.out
    assert shown.out.endswith("Not counted: 1 blank cell.\nNothing was posted.\n")
    assert on_hand(tmp_path) == {"north": {"TEA": 5}, "south": {"TEA": 1}}
    done = told(imported("--json"))
    assert done["variances"] == [
        {"location": "north", "sku": "MUG", "book": 0, "counted": 3, "difference": 3},
        {"location": "north", "sku": "TEA", "book": 5, "counted": 7.5, "difference": 2.5},
    ]
    assert [done[name] for name in ("figures", "differ", "blank", "posted", "known_before")] == [2, 2, 1, 2, 0]
    again = told(imported("--json"))
    assert [again[name] for name in ("differ", "posted", "known_before", "replaced")] == [0, 0, 2, 0]
    assert on_hand(tmp_path) == {"north": {"TEA": 7.5, "MUG": 3}, "south": {"TEA": 1}}


def test_packs_and_loose_units_are_added_up_to_whole_units(command: Command, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("sku,barcode,barcode_units\nMUG,40000008,\nMUG,40000015,6\n")
    assert command("catalog", "import", "p.csv").code == 0
    imported = partial(command, "stock", "import", "s.csv", "--at", AT, "--location", "north", "--json")
    (tmp_path / "s.csv").write_text("barcode,quantity\n40000015,2.5\n40000008,4\n")
    assert told(imported())["variances"] == [
        {"location": "north", "sku": "MUG", "book": 0, "counted": 19, "difference": 19}
    ]
    (tmp_path / "s.csv").write_text("barcode,quantity\n40000015,2.3\n")
    done = imported()
    assert (done.code, done.err.partition(": ")[2]) == (
        1, "expected a whole number of units, got 2.3 packs of 6 of 'MUG'; count what is loose by the barcode of one\n"
    )  # fmt: skip
    assert on_hand(tmp_path)["north"]["MUG"] == 19


def test_packs_that_were_sold_before_they_were_listed_are_named(command: Command, tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db") as store:
        Till(store, "N1", "north").post(body("sale", ("gtin:40000015", 3)))
    (tmp_path / "p.csv").write_text("sku,barcode,barcode_units\nTEA,40000015,6\n")
    done = command("catalog", "import", "p.csv")
    assert (done.code, done.out) == (1, "Imported 1 product.\n")
    assert done.err == (
        "north: -3 of gtin:00000040000015 were posted before it was a pack of 6 of TEA, and stay there: count it as 0, "
        "and TEA as it is (inventory-server stock import)\n"
    )
    (tmp_path / "s.csv").write_text("sku,north\ngtin:00000040000015,0\nTEA,2\n")
    assert command("stock", "import", "s.csv", "--at", AT).code == 0
    assert command("catalog", "import", "p.csv") == (0, "Imported 1 product.\n", "")


def test_what_is_sold_after_the_count_counts(command: Command, tmp_path: Path) -> None:
    with opened(tmp_path / "hq.db") as store:
        Till(store, "N1", "north").post(body("sale", ("TEA", 1), at=NOON + 20 * HOUR))
    (tmp_path / "s.csv").write_text("sku,quantity\nTEA,4\n")
    done = told(command("stock", "import", "s.csv", "--at", AT, "--location", "north", "--json"))
    assert done["variances"] == [{"location": "north", "sku": "TEA", "book": 5, "counted": 4, "difference": -1}]
    assert on_hand(tmp_path)["north"] == {"TEA": 3}


def test_a_column_for_each_location_and_a_date_for_the_end_of_its_day(command: Command, tmp_path: Path) -> None:
    for location, zone in (("north", "Europe/Berlin"), ("south", "America/New_York")):
        command("location", "set", location, "--time-zone", zone)
    (tmp_path / "s.csv").write_text("sku;north;south;note\nTEA;4;;x\nMUG;1,5;2;\n")
    imported = partial(command, "stock", "import", "s.csv", "--at", "2023-11-15", "--decimal", ",", "--json")
    done = told(imported())
    assert done["counted_at"] == {"north": "2023-11-15T22:59:59.999999Z", "south": "2023-11-16T04:59:59.999999Z"}
    assert (done["figures"], done["blank"], done["ignored_columns"]) == (3, 1, ["note"])
    assert on_hand(tmp_path) == {"north": {"TEA": 4, "MUG": 1.5}, "south": {"TEA": 1, "MUG": 2}}


def test_figures_that_were_replaced_are_not_taken_for_posted(command: Command, tmp_path: Path) -> None:
    imported = partial(command, "stock", "import", "s.csv", "--at", AT, "--location", "north", "--json")
    for quantity, code in ((4, 0), (6, 0), (4, 1)):
        (tmp_path / "s.csv").write_text(f"sku,quantity\nTEA,{quantity}\n")
        done = imported()
        assert done.code == code
    assert done.err == (
        "north: TEA: these figures were posted before, and have been voided or replaced by other ones of the same "
        "instant since; to count anew, name a later instant with --at\n"
    )
    assert told(done)["replaced"] == 1
    assert on_hand(tmp_path)["north"] == {"TEA": 6}


def test_a_sheet_with_a_wrong_row_posts_nothing(command: Command, tmp_path: Path) -> None:
    rows = [
        *("TEA,,-1,north", "TEA,,1,nort", "5.01E+12,,1,north", ",40000015,1,north", "Total,,9,north", "MUG,,1.,south"),
        *("MUG,,2,south", "RICE,,lots,north", ",,3,north", "A,B"),
    ]
    (tmp_path / "s.csv").write_text("\n".join(["sku,barcode,quantity,location", *rows]) + "\n")
    done = command("stock", "import", "s.csv", "--at", AT)
    assert (done.code, done.out) == (
        1, "Nothing was posted: correct the 9 problems and import the file again.\n"
    )  # fmt: skip
    lines = done.err.splitlines()
    expected = [
        "s.csv:2: quantity: expected a quantity of at least 0, got '-1'; count what is there",
        "s.csv:3: location: expected a location that HQ knows, got 'nort'; is it 'north'?",
        "s.csv:4: sku: expected a code as it was before a spreadsheet made a number of it",
        "s.csv:5: barcode: expected one that the catalogue lists, got '00000040000015'; list it first",
        "s.csv:6: sku: expected a product, not a total of other rows, got 'Total'",
        "s.csv:8: expected each product once, got 'MUG' at 'south' again; it is also in line 7: add up",
        "s.csv:9: quantity: expected an exact number",
        "s.csv:10: sku: expected a SKU of 1 to 64 characters",
        "s.csv:11: row: expected 4 cells as in the header, got 2",
    ]
    assert [line.startswith(start) for line, start in zip(lines, expected, strict=True)] == [True] * 9
    assert on_hand(tmp_path) == {"north": {"TEA": 5}, "south": {"TEA": 1}}


WRONG = [
    ("sku,quantity\nTEA,1\n", ["--at", AT], "s.csv does not say where its quantities are: give --location"),
    ("sku,quantity\nTEA,1\n", ["--at", AT, "--location", "moon"], "HQ knows no location 'moon'"),
    (
        "sku,stock\nTEA,1\n",
        ["--at", AT],
        "Name it with --column quantity=COLUMN, or call columns like locations",
    ),
    ("item,north\nTEA,1\n", ["--at", AT], "s.csv has no column 'sku'; its columns are item, north."),
    ("sku,north,north\nTEA,1,2\n", ["--at", AT], "s.csv has 2 columns 'north': expected one; rename the others."),
    ("sku,north,suoth\nTEA,1,2\n", ["--at", AT], "has a column 'suoth' and HQ knows a location 'south'"),
    ("sku,north\nTEA,1\n", ["--at", "2999-01-01"], "--at: expected what has passed, got 2999-01-01, which at north"),
    ("sku,north\nTEA,1\n", ["--at", "0001-01-01"], "--at: expected a date from"),
    ("sku,north\nTEA,1\n", [], "Missing option '--at'"),
    ("sku,north\nTEA,1\n", ["--at", AT, "--column", "count=x"], "'count' is no field of this file"),
]


def test_what_cannot_be_read_says_what_to_do(command: Command, tmp_path: Path) -> None:
    for content, options, reason in WRONG:
        (tmp_path / "s.csv").write_text(content)
        done = command("stock", "import", "s.csv", *options)
        assert (done.code, done.out) == (2, "")
        assert reason in done.err


def test_products_that_hq_never_heard_of_are_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("sku,north\nTEE,1\nTEA,5\n")
    done = command("stock", "import", "s.csv", "--at", AT)
    assert "never heard of these products; they will be posted as not in the catalogue: TEE (is it TEA?)\n" in done.err
    assert done.out.endswith(
        "Posted 2 figures. HQ flagged: clock_suspect, unlisted_product; see: stock-query counts.\n"
    )
    (tmp_path / "s.csv").write_text("sku,north\nTEA,\n")
    assert command("stock", "import", "s.csv", "--at", AT) == (
        1, "Nothing was posted: no row of the file has a quantity.\n", ""
    )  # fmt: skip


def test_in_a_terminal_it_asks_first(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.csv").write_text("sku,north\nTEA,4\n")
    monkeypatch.setattr("pos_client.commands.console.is_interactive", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    assert command("stock", "import", "s.csv", "--at", AT).code == 130
    assert on_hand(tmp_path)["north"] == {"TEA": 5}
    assert command("stock", "import", "s.csv", "--at", AT, "--yes").code == 0


def test_a_running_server_posts_them_and_the_proof_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shell = partial(Shell(monkeypatch, capsys), "inventory-server")
    rows = "".join(f"K{n},{n}\n" for n in range(250))
    (tmp_path / "s.csv").write_text(f"sku,north\n{rows}")
    with headquarters(tmp_path, control=True) as (_, url):
        shell("location", "set", "north", "--db", url)
        done = told(shell("stock", "import", "s.csv", "--at", AT, "--db", url, "--json"))
        assert (done["posted"], done["differ"]) == (250, 249)
        assert told(shell("stock", "import", "s.csv", "--at", AT, "--db", url, "--json"))["known_before"] == 250
    assert shell("verify", "--db", url).code == 0
