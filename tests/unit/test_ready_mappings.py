"""Exports of well-known programs are recognised by their headers and counted exactly; the samples are invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pos_client.files.ready_mappings import mapping_paths, recognised
from pos_client.files.settings import MappingError
from tests.support.bring_in import bring_in

HERE = {"constants": {"location": "Main"}}
ZONE = {"time": {"zone": "America/New_York"}}

EXPORTS = Path(__file__).parents[1] / "support" / "exports"
# program, what has to be added, what is posted, what is named
SAMPLES: list[tuple[str, dict[str, Any], dict[str, str], list[str]]] = [
    ("square", ZONE, {"MUG-1": "-1", "BOWL-1": "-1"}, []),
    ("shopify", HERE, {"TEE-M": "-2", "MUG": "-3"}, []),
    ("loyverse", ZONE, {"10001": "-1", "10002": "-1"}, []),
    ("toast", ZONE, {"700": "-1", "710": "-2"}, []),
    ("vend", HERE | ZONE, {"MUG": "-1", "TEA": "-1"}, []),
    ("woocommerce", HERE | ZONE, {"MUG": "-2", "TEA": "-1"}, [":5: SKU"]),
    ("odoo", HERE, {"MUG": "-1", "TEA": "-1"}, []),
    ("odoo_orders", HERE, {"MUG": "-1", "TEA": "-1"}, []),
]


@pytest.mark.parametrize(("program", "added", "stock", "named"), SAMPLES, ids=[each[0] for each in SAMPLES])
def test_an_export_is_recognised_and_counted(
    program: str, added: dict[str, Any], stock: dict[str, str], named: list[str]
) -> None:
    path = EXPORTS / f"{program}.csv"
    mapping = recognised(path, {})
    assert mapping.stem == program
    came = bring_in([path], mapping, added)
    said = "\n".join(came.said)
    assert came.stock == stock, said
    assert [part for part in named if part not in said] == [], said
    assert bool(said) == bool(named), said


def test_a_file_that_no_mapping_is_for_is_named_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(MappingError, match=r"no known export \(.*loyverse, odoo, odoo_orders, shopify, square, toast"):
        recognised(path, {})
    assert {each[0] for each in SAMPLES} <= {path.stem for path in mapping_paths()}


@pytest.mark.parametrize(("program", "before", "after"), [("toast", "true", "TRUE"), ("vend", "VOIDED", "Voided")])
def test_a_spreadsheet_may_have_changed_the_case_of_marks(
    program: str, before: str, after: str, tmp_path: Path
) -> None:
    sample = next(each for each in SAMPLES if each[0] == program)
    path = tmp_path / f"{program}.csv"
    path.write_text((EXPORTS / path.name).read_text().replace(before, after))
    assert bring_in([path], recognised(path, {}), sample[1]).stock == sample[2]


def test_marks_that_a_mapping_does_not_know_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "toast.csv"
    path.write_text((EXPORTS / path.name).read_text().replace("true", "Yes").replace("false", "No"))
    [said] = bring_in([path], recognised(path, {}), ZONE).said
    assert "'Void?' has values that may mark rows to leave out, too ('Yes')" in said
