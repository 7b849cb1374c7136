"""Shell completion: its scripts (click asks bash for its version), and what it offers from an outbox or a ledger."""

from __future__ import annotations

import socket
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from inventory_server.commands.main import inventory_server
from inventory_server.domain.product import Product
from inventory_server.domain.requests import Enrol, ImportProducts
from pos_client.commands import complete_hq
from pos_client.commands.main import pos_client
from pos_client.commands.stock import stock_query
from pos_client.protocol.messages import Line
from pos_client.till.client import PosClient
from pos_client.till.outbox import Outbox
from pos_client.transport.connection import Connection
from tests.support.commands import Shell, headquarters
from tests.support.ledgers import new_ledger
from tests.support.maintenance import change
from tests.support.waiting import HANG_SECONDS


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["inventory-server", "pos-client"])
def test_the_completion_script_of_a_shell_is_printed(
    program: str, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Shell(monkeypatch, capsys)(program, "completion", kind)
    assert done.code == 0
    completed = ["inventory-server", "stock-query"] if program == "inventory-server" else [program]
    assert all(f"_{name.replace('-', '_').upper()}_COMPLETE" in done.out for name in completed)


PROGRAMS: dict[str, click.Command] = {
    "pos-client": pos_client,
    "inventory-server": inventory_server,
    "stock-query": stock_query,
}


def offers(program: str, *words: str) -> list[str]:
    """What a shell offers for the last of `words`."""
    complete = ShellComplete(PROGRAMS[program], {}, program, "_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


@pytest.fixture
def outbox(tmp_path: Path) -> tuple[str, dict[str, str]]:
    """The path of an outbox that holds what is pending and parked, and the ids in it by what they are."""
    path = tmp_path / "till.db"
    with PosClient(f"unix:{tmp_path}/away", terminal="north-1", location="north", outbox=path) as till:
        lines = [Line(sku="TEA-100", quantity=1), Line(sku="TEA-200", quantity=1), Line(sku="a b", quantity=1)]
        hostile = [Line(sku=sku, quantity=1) for sku in ("$(reboot)", "TEA\u202e", "`x`", "-rf", "a;b")]
        sale = till.sell([*lines, *hostile, Line(gtin="4006381333931", quantity=1)], reference="R-1\u202e")
        sent = till.transfer_out([("TEA-100", 1)], to="south")
        wrong = till.void(sale)
    box = Outbox(path)
    try:
        box.park(wrong.id, "already_voided", "It is.")
    finally:
        box.close()
    return str(path), {"sale": str(sale.id), "transfer": str(sent.id), "void": str(wrong.id)}


def test_a_till_completes_what_its_outbox_holds(outbox: tuple[str, dict[str, str]]) -> None:
    path, ids = outbox
    at = ("--outbox", path)
    assert offers("pos-client", "sell", *at, "TEA") == ["TEA-100", "TEA-200"]
    assert offers("pos-client", "sell", *at, "TEA-100=2", "TEA-2") == ["TEA-200"]
    assert offers("pos-client", "count", *at, "--barcode", "") == ["4006381333931"]
    assert offers("pos-client", "sell", *at, "--terminal", "") == ["north-1"]
    assert offers("pos-client", "transfer", "out", *at, "--to", "") == ["north", "south"]
    assert offers("pos-client", "return", *at, "--returns", "") == [ids["sale"]]
    assert offers("pos-client", "transfer", "close", *at, "") == [ids["transfer"]]
    assert offers("pos-client", "void", *at, "") == [ids["void"], ids["transfer"], ids["sale"]]
    assert offers("pos-client", "outbox", "redrive", *at, "") == [ids["void"]]


def test_nothing_that_a_shell_could_run_or_a_terminal_obey_is_offered(outbox: tuple[str, dict[str, str]]) -> None:
    path, _ = outbox
    assert offers("pos-client", "sell", "--outbox", path, "") == ["TEA-100", "TEA-200"]
    complete = ShellComplete(pos_client, {}, "pos-client", "_COMPLETE")
    helps = [str(item.help) for item in complete.get_completions(["void", "--outbox", path], "")]
    assert all(text.isprintable() for text in helps)
    assert helps[2].startswith("sale R-1\\u202e ")


def test_what_cannot_be_read_offers_nothing_and_is_not_made(tmp_path: Path) -> None:
    assert offers("pos-client", "sell", "--outbox", str(tmp_path / "none.db"), "") == []
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at\n" * 100)
    assert offers("pos-client", "sell", "--outbox", str(tmp_path / "text.db"), "") == []
    url = f"sqlite:///{tmp_path}/none-either.db"
    assert offers("inventory-server", "terminal", "revoke", "--db", url, "") == []
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith("none")} == set()


def test_headquarters_completes_what_the_ledger_holds(tmp_path: Path) -> None:
    url = new_ledger(tmp_path / "hq.db")
    change(url, Enrol("north-1", "till", "north", "secret-1"))
    change(url, Enrol("south-1", "till", "south", "secret-2"))
    change(url, ImportProducts([Product("TEA-100"), Product("TEA 200"), Product("$(reboot)")], []))
    at = ("--db", url)
    assert offers("inventory-server", "terminal", "revoke", *at, "") == ["north-1", "south-1"]
    assert offers("inventory-server", "terminal", "adopt", *at, "north-1", "--by", "s") == ["south-1"]
    assert offers("inventory-server", "terminal", "move", *at, "north-1", "") == ["north", "south"]
    assert offers("inventory-server", "exceptions", *at, "--location", "n") == ["north"]
    assert offers("inventory-server", "product", "show", *at, "") == ["TEA-100"]
    assert offers("inventory-server", "postings", "reopen", *at, "") == []


def test_a_question_is_completed_by_headquarters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete_hq, "COMPLETION_SECONDS", HANG_SECONDS)
    with headquarters(tmp_path, control=True) as (address, url):
        change(url, Enrol("stock-query", "reader", "office", "a secret"))
        change(url, ImportProducts([Product("TEA-100", "Green tea"), Product("counts-2")], []))
        with PosClient(address, terminal="north-1", location="north", outbox=tmp_path / "till.db") as till:
            hostile = [Line(sku=sku, quantity=1) for sku in ("TEA$(reboot)", "TEA\u202e", "-rf")]
            till.sell([("TEA-100", 1), ("TEA-OLD", 1), *hostile], reference="R-1")
            till.sell([("TEA-100", 1)], reference="R-2; reboot").wait(HANG_SECONDS)
        at = ("--server", address)
        assert offers("stock-query", *at, "TEA") == ["TEA-100"]
        assert offers("stock-query", *at, "TEA-O") == ["TEA-OLD"]  # no catalogue lists it
        assert offers("stock-query", "sales", *at, "TEA-100", "c") == ["counts-2"]
        assert offers("stock-query", "history", *at, "TEA") == ["TEA-100"]
        assert offers("stock-query", "exceptions", *at, "--location", "") == ["north"]
        assert offers("stock-query", *at, "--location", "n") == ["north"]
        assert offers("stock-query", "postings", *at, "--of-terminal", "") == ["north-1"]
        assert offers("stock-query", "postings", *at, "--reference", "") == ["R-1"]


def test_the_first_word_may_be_a_command_or_a_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete_hq, "COMPLETION_SECONDS", HANG_SECONDS)
    with headquarters(tmp_path, control=True) as (address, url):
        change(url, ImportProducts([Product("counts-2"), Product("TEA-100")], []))
        monkeypatch.setenv("TILLWIRE_SERVER", address)
        assert offers("stock-query", "co") == ["counts", "counts-2"]
        assert offers("stock-query", "--hel") == ["--help"]
        assert offers("stock-query", "T") == ["TEA-100"]
        assert "sales" in offers("stock-query", "")


def test_at_a_till_a_question_is_completed_without_saying_hello_in_its_name(
    outbox: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLWIRE_OUTBOX", outbox[0])
    monkeypatch.setattr(Connection, "open", lambda *_: pytest.fail("It said hello."))
    assert offers("stock-query", "TEA") == ["TEA-100", "TEA-200"]
    assert offers("stock-query", "counts", "--location", "") == ["north", "south"]
    assert offers("stock-query", "postings", "--reference", "") == []


def test_headquarters_that_do_not_answer_in_time_offer_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete_hq, "COMPLETION_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never says a word
        assert offers("stock-query", "--server", f"127.0.0.1:{silent.getsockname()[1]}", "TEA") == []
    assert offers("stock-query", "--server", f"unix:{tmp_path}/away", "TEA") == []
    assert offers("stock-query", "--server", "no address at all", "TEA") == []
    with headquarters(tmp_path, dev=False) as (address, _):  # refuses who is not enrolled
        assert offers("stock-query", "--server", address, "--terminal", "a b", "TEA") == []
