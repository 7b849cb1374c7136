"""The figures of `docs/scale.md` are computed, from what was measured and from what can be measured again here."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chain, scale
from benchmarks.model import simulate

RESULT = json.loads(scale.RESULTS.read_text())


@pytest.mark.long
def test_the_measured_curve_is_reproduced() -> None:
    points = scale.reproduced(RESULT)
    assert [point["tills"] for point in points] == [1, 4, 16, 64, 256, 1_000]
    assert [point for point in points if abs(point["off"]) > scale.DEVIATION_MAX] == []


@pytest.mark.long
def test_what_was_computed_from_the_measurements_is_what_the_model_still_computes() -> None:
    assert scale.reproduced(RESULT) == [pytest.approx(point) for point in RESULT["reproduced"]]
    stored = {case["title"]: case for case in RESULT["extrapolated"]}
    assert list(stored) == [case.title for case in scale.CASES]
    [case] = scale.extrapolated(RESULT, scale.CASES[3:4])
    assert case["rates"] == pytest.approx(stored[case["title"]]["rates"])


COSTS: dict[str, Any] = {
    "wake": 20e-6,
    "client": [[1, 10e-6]],
    "front": [[4, 35e-6], [64, 45e-6]],
    "judge": [[1, 250e-6], [16, 65e-6]],
    "store": [[1, 240e-6], [16, 55e-6]],
    "disk": [[1, 500e-6], [16, 30e-6]],
    "calls": [[1, 10], [16, 12]],
}


def measurements(times: float) -> dict[str, Any]:
    """Of machines on which one point of the curve is so many times what the model makes of their costs."""
    rate = simulate(scale.costs_of(COSTS), scale.HERE, 16, seed=2).sales_a_second * times
    return {
        "costs": {"sqlite": COSTS, "postgresql": COSTS},
        "curve": [{"tills": 16, "live": rate}],
        "workers": [{"workers": 2, "tills": 16, "live": rate}],
        "bytes": RESULT["bytes"],
    }


def test_nothing_is_extrapolated_from_a_model_that_is_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, page = tmp_path / "scale.json", tmp_path / "scale.md"
    results.write_text(json.dumps(measurements(2)))
    assert scale.main(results, page, tmp_path / "scale.png") == 1
    assert "nothing is extrapolated" in capsys.readouterr().err
    assert json.loads(results.read_text()) == measurements(2)
    assert not page.exists()


@pytest.mark.long
def test_a_page_is_filled_from_measurements_that_the_model_reproduces() -> None:
    result = measurements(1)
    result["reproduced"], result["beside"] = scale.reproduced(result), scale.workers_beside(result)
    result["extrapolated"] = scale.extrapolated(result, scale.CASES[:1])
    page = scale.filled(scale.PAGE.read_text(), scale.tables(result))
    assert "| commit of 200: the database | 55.0 | 55.0 |" in page
    assert "| 16 | " in page
    assert "| 2 | 16 | " in page
    assert f"| {scale.CASES[0].title} | " in page
    assert "](scale.png)" in page
    assert scale.filled(page, scale.tables(RESULT)) == scale.PAGE.read_text()


def test_the_tables_of_the_page_are_those_that_the_measurements_give() -> None:
    page = scale.PAGE.read_text()
    assert scale.filled(page, scale.tables(RESULT)) == page


@pytest.mark.long
def test_a_sale_and_a_level_take_as_many_bytes_as_the_page_says(tmp_path: Path) -> None:
    measured = chain.bytes_of_sqlite(tmp_path)
    assert measured == pytest.approx(RESULT["bytes"]["sqlite"], rel=0.03)


def test_the_chain_is_the_one_that_was_asked_about() -> None:
    told = {row[0]: row[2] for row in chain.rows(500, 100)}
    assert (told["tills, each with a connection"], told["sales a second at peak"]) == ("84,000", "31,500")
    assert told["sales a day"] == "227 million"
    assert told["bytes a year"] == "41 TB"
    assert told["levels"] == "1,050 million"


def test_a_page_without_the_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places for 'chain'"):
        scale.filled("# Nothing", {"chain": "| a |"})
