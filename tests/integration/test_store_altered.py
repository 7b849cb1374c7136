"""A ledger that is altered while its server runs: no posting is to blame, and all go on once it is put right."""

from __future__ import annotations

import pytest

from pos_client.protocol.errors import ErrorCode, RequestError
from tests.support.ledgers import Till, body, level, opened, outcome_of, proof_of
from tests.support.sites import Site

SALE = body("sale", ("a", 1))


@pytest.mark.parametrize(
    ("altered", "undone"),
    [
        (
            "ALTER TABLE movement RENAME COLUMN event_position TO event",
            "ALTER TABLE movement RENAME COLUMN event TO event_position",
        ),
        ("ALTER TABLE identity RENAME TO identities", "ALTER TABLE identities RENAME TO identity"),
    ],
)
def test_tills_are_told_busy_until_the_tables_are_as_they_were(
    site: Site, ledger: str, caplog: pytest.LogCaptureFixture, altered: str, undone: str
) -> None:
    with opened(ledger) as store:
        tills = [Till(store, name) for name in ("T1", "T2")]
        site.execute(ledger, altered)
        for till in (*tills, *tills):
            refused = outcome_of(lambda till=till: till.post(SALE))  # type: ignore[misc]
            assert isinstance(refused, RequestError)
            assert refused.code is ErrorCode.busy
        site.execute(ledger, undone)
        assert [till.posts(SALE).status for till in tills] == ["posted", "posted"]
        assert level(store).on_hand == -2
    assert caplog.text.count("event=commits_refused") == caplog.text.count("event=commits_resumed") == 1
    assert "Traceback" not in caplog.text
    assert proof_of(ledger).holds
