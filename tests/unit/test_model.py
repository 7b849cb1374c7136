"""The model of tills, servers and a database keeps the laws of closed queues."""

from dataclasses import replace

import pytest

from benchmarks import chain, scale
from benchmarks.model import SPREAD, Costs, Curve, Site, simulate

COSTS = Costs(
    wake=20e-6,
    client=Curve([(1, 10e-6)]),
    front=Curve([(4, 35e-6), (1_000, 60e-6)]),
    judge=Curve([(1, 250e-6), (10, 70e-6), (100, 52e-6)]),
    store=Curve([(1, 240e-6), (10, 60e-6), (100, 42e-6)]),
    disk=Curve([(1, 500e-6), (10, 50e-6), (100, 5e-6)]),
    calls=Curve([(1, 10), (100, 20)]),
)
HERE = Site(processors=2)
APART = Site(clients_apart=True)
SOME_TILLS = [1, 64, pytest.param(7, marks=pytest.mark.long), pytest.param(500, marks=pytest.mark.long)]


def test_a_lone_till_takes_the_sum_of_what_its_sale_takes() -> None:
    result = simulate(COSTS, HERE, 1)
    assert result.sales_a_second == pytest.approx(1 / COSTS.alone, rel=0.01)
    assert result.sales_a_commit == 1


@pytest.mark.parametrize("tills", SOME_TILLS)
@pytest.mark.parametrize("site", [HERE, APART, Site(servers=4, clients_apart=True)])
def test_littles_law_holds(tills: int, site: Site) -> None:
    """How many are in the system = how many pass a second × how long each is in it."""
    result = simulate(COSTS, site, tills)
    assert result.sales_a_second * result.cycle_mean == pytest.approx(tills, rel=0.05)
    assert result.answer_mean <= result.cycle_mean
    assert result.answer_mean <= result.answer_p99


@pytest.mark.parametrize("tills", SOME_TILLS)
def test_no_more_passes_than_the_narrowest_place_lets_through(tills: int) -> None:
    least = 1 - SPREAD
    result = simulate(COSTS, HERE, tills)
    assert result.sales_a_second <= tills / COSTS.alone / least
    assert result.sales_a_second <= 1 / COSTS.locked(tills) / least


def test_servers_on_one_database_commit_one_at_a_time() -> None:
    section = COSTS.judge.at(640) + COSTS.store.at(640)
    rates = [simulate(COSTS, Site(servers=servers, clients_apart=True), 640).sales_a_second for servers in (1, 2, 16)]
    assert rates[0] < rates[1]
    assert max(rates) <= 1 / section / (1 - SPREAD)


def test_while_few_tills_wait_many_servers_only_make_commits_smaller() -> None:
    one, many = (simulate(COSTS, Site(servers=servers, clients_apart=True), 32) for servers in (1, 16))
    assert many.sales_a_commit < one.sales_a_commit
    assert many.sales_a_second < one.sales_a_second


def test_a_commit_takes_no_more_than_its_limit() -> None:
    limited = simulate(COSTS, replace(APART, commit_postings_max=20), 100)
    assert 15 < limited.sales_a_commit <= 20
    assert simulate(COSTS, APART, 100).sales_a_commit > 20


def test_nobody_is_faster_for_a_standby_or_for_fewer_processors() -> None:
    rate = simulate(COSTS, APART, 64).sales_a_second
    assert simulate(COSTS, replace(APART, round_trip=0.005), 64).sales_a_second < rate
    assert simulate(COSTS, replace(APART, processors=1), 64).sales_a_second < rate


def test_a_run_depends_on_its_seed_and_on_nothing_else() -> None:
    assert simulate(COSTS, HERE, 16, seed=7) == simulate(COSTS, HERE, 16, seed=7)
    assert simulate(COSTS, HERE, 16, seed=7) != simulate(COSTS, HERE, 16, seed=8)


def test_a_curve_is_straight_over_the_logarithm_and_flat_outside() -> None:
    curve = Curve([(1, 8.0), (4, 4.0), (64, 2.0)])
    assert [curve.at(number) for number in (0.5, 1, 2, 4, 16, 64, 1_000)] == pytest.approx([8, 8, 6, 4, 3, 2, 2])
    assert curve.times(0.5).at(16) == pytest.approx(1.5)


def test_so_many_books_that_none_is_asked_for_more_than_it_is_to_carry() -> None:
    carried = chain.SALES_A_SECOND / chain.LOADED
    assert scale.books(carried) == 1
    assert scale.books(carried / 2) == 2
    assert scale.books(carried / 2 - 1) == 3
