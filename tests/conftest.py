"""What all tests share."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A slow machine must not fail a property: nothing here is about durations.
settings.register_profile("tillwire", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tillwire")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parent.parent
