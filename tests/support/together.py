"""Which test files one process runs: what all their tests share is dear, and every process would make its own.

The mark `xdist_group` would say so in the files; pytest-xdist 3.8 loses it under pytest 9.2.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "tests/contract/test_wheel.py": "wheel",
    "tests/e2e/test_journey_buyer.py": "wheel",
    "tests/e2e/test_journey_developer.py": "wheel",
    "tests/e2e/test_journey_operator.py": "wheel",
    "tests/integration/test_store_archive_limits.py": "twins",
    "tests/integration/test_store_archiving.py": "twins",
    "tests/integration/test_store_pruning.py": "partitions",
    "tests/integration/test_store_replica.py": "standby",
}
"""Files by what they share."""


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives each process one test after another, but those of the files above at once and first."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(nodeid.partition("::")[0], nodeid)
