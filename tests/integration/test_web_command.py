"""`inventory-server web` and `user` say what is wrong in one sentence, and what to do."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from inventory_server.commands import web as command
from tests.support.commands import Shell
from tests.support.ledgers import new_ledger


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--listen", "nowhere:x"), "Cannot listen on 'nowhere:x'"),
        (("--listen", "0.0.0.0:0"), "others can reach it, and there is no TLS"),
        (("--listen", "unix:/tmp/web.sock"), "expected HOST:PORT"),
        (("--allow-plaintext", "everywhere"), "expected a network"),
        (("--tls-key", "key.pem"), "--tls-certificate and --tls-key are given together"),
        (("--listen", "127.0.0.1:0", "--db", "sqlite:///nothing.db"), "There is no database nothing.db"),
    ],
)
def test_what_the_web_process_cannot_do_is_said(
    arguments: tuple[str, ...], said: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = shell("inventory-server", "web", *arguments)
    assert done.code == 2
    assert said in done.err


def test_without_the_extra_it_says_what_to_install(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")

    monkeypatch.setattr(command, "import_process", missing)
    for arguments in (("web",), ("serve", "--web", "127.0.0.1:0")):
        done = shell("inventory-server", *arguments)
        assert (done.code, done.out) == (2, "")
        assert "uvicorn is missing, which the web process needs: pip install 'tillwire[web]'" in done.err


def test_users_are_added_listed_changed_and_removed(shell: Shell, tmp_path: Path) -> None:
    db = ("--db", new_ledger(tmp_path / "hq.db"))
    user = ("inventory-server", "user")
    added = json.loads(shell(*user, "add", "kim", "--role", "admin", *db, "--json").out)
    assert added["path"].startswith("/welcome#")
    assert "exists already; give a new link with: user reset kim" in shell(*user, "add", "kim", *db).err
    token = tmp_path / "kim.token"
    assert shell(*user, "token", "kim", "shop", "--token-file", token, *db).code == 0
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert shell(*user, "role", "kim", "operator", *db).out == "User kim has the role operator now.\n"
    [row] = json.loads(shell(*user, "list", *db, "--json").out)
    assert (row["user"], row["role"], row["has_password"], row["tokens"]) == ("kim", "operator", False, ["shop"])
    assert "shop" in shell(*user, "list", *db).out
    assert shell(*user, "token", "kim", "shop", "--revoke", *db).code == 0
    assert "has no token 'shop'; there is: none" in shell(*user, "token", "kim", "shop", "--revoke", *db).err
    assert json.loads(shell(*user, "reset", "kim", *db, "--json").out)["path"] != added["path"]
    assert "did you mean kim?" in shell(*user, "remove", "kin", *db).err
    assert shell(*user, "remove", "kim", *db).code == 0
    assert json.loads(shell(*user, "list", *db, "--json").out) == []
    assert "got 'a b'" in shell(*user, "add", "a b", *db).err
