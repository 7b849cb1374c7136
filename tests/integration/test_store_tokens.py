"""Tokens are checked where it costs no commit, and once more in the commit of the hello."""

import pytest

from inventory_server.domain.door import perform
from inventory_server.domain.requests import CheckToken, Hello, RevokeTerminal
from inventory_server.domain.roles import HEADQUARTERS
from inventory_server.store import LedgerStore
from pos_client.protocol.errors import ErrorCode, RequestError
from tests.support.ledgers import enrol


def hello(terminal: str, token: str | None) -> Hello:
    return Hello(terminal, token, False, None, None, None, None)


@pytest.mark.parametrize(
    ("terminal", "token", "reason"),
    [
        ("T1", "wrong", "This is not the token of terminal T1"),
        ("T1", None, "Terminal T1 gave no token"),
        ("T2", "secret", "Terminal T2 is not enrolled"),
        ("T3", "secret", "Terminal T3 is revoked"),
        ("hq", "secret", "The name hq is reserved"),
    ],
)
def test_a_hello_that_the_check_refuses_the_commit_refuses_too(
    store: LedgerStore, terminal: str, token: str | None, reason: str
) -> None:
    for name in ("T1", "T3"):
        enrol(store, name, "till", "L1")
    perform(store, RevokeTerminal(terminal="T3", actor=HEADQUARTERS))
    said = hello(terminal, token)
    for request in (CheckToken(hello=said, actor=HEADQUARTERS), said):
        with pytest.raises(RequestError, match=reason) as caught:
            perform(store, request)
        assert caught.value.code is ErrorCode.unauthenticated
    assert perform(store, CheckToken(hello=hello("T1", "secret"), actor=HEADQUARTERS)) is True
