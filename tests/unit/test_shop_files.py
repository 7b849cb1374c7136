"""Files as shops have them are brought in exactly, or what is not brought in is named.

The files are not part of the project. They are looked for beside the checkout, or where TILLWIRE_SHARED_DATA says.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest

from pos_client.files.postings import FilePosting
from tests.support.bring_in import bring_in, stock_of
from tests.support.shop_files import CASES, SAME_AGAIN, THEN, Case

ROOT = Path(__file__).resolve().parents[2]
FILES = Path(os.environ.get("TILLWIRE_SHARED_DATA", ROOT.parent / "shared" / "data")) / "files"

pytestmark = [
    pytest.mark.skipif(not FILES.is_dir(), reason=f"needs the files in {FILES} (or TILLWIRE_SHARED_DATA)"),
]


def paths(files: str) -> list[Path]:
    return [FILES / name for name in files.split()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.files}-{case.mapping}-{'-'.join(case.changes)}")
def test_what_a_file_comes_to_is_right_or_named(case: Case) -> None:
    came = bring_in(paths(case.files), FILES / f"{case.mapping}.toml", case.changes)
    said = "\n".join(came.said)
    assert (came.stock, came.stopped) == (case.stock, case.stops), said
    assert [text for text in case.named if text not in said] == [], said
    assert bool(came.said) == bool(case.named), said


@pytest.mark.parametrize(("file", "first", "second"), SAME_AGAIN)
def test_the_postings_of_a_receipt_do_not_depend_on_max_lines(file: str, first: str, second: str) -> None:
    came = [bring_in([FILES / file], FILES / f"{name}.toml", {}).postings for name in (first, second)]
    one, other = ([(posting.id, posting.body) for posting in postings] for postings in came)
    assert one == other


@pytest.mark.parametrize(("first", "second", "stock"), THEN)
def test_after_a_second_file_everything_is_posted_once(first: str, second: str, stock: dict[str, str]) -> None:
    ledger: dict[UUID, FilePosting] = {}
    for name in (first, second):
        for posting in bring_in([FILES / name], FILES / "base.toml", {}).postings:
            assert ledger.setdefault(posting.id, posting).body == posting.body
    assert stock_of(list(ledger.values())) == stock


def test_every_file_has_an_answer() -> None:
    answered = {name for case in CASES for name in case.files.split()}
    catalogues = {path.name for path in FILES.glob("c[0-9][0-9]_*")} | {"04_scientific_catalog.csv"}
    assert {path.name for path in FILES.iterdir() if path.suffix not in (".toml", ".md")} - catalogues == answered
