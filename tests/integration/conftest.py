"""A scripted HQ and tills that report to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pos_client import (
    PosClient,
)
from tests.support.scripted_hq import ScriptedHq
from tests.support.tills import FAST


@pytest.fixture
def hq() -> Iterator[ScriptedHq]:
    with ScriptedHq() as started:
        yield started


@pytest.fixture
def open_till(hq: ScriptedHq, tmp_path: Path) -> Iterator[Callable[..., PosClient]]:
    """Opens tills of one shop and closes them in the end."""
    opened: list[PosClient] = []

    def open_one(**options: Any) -> PosClient:
        settings: dict[str, Any] = {"terminal": "T1", "outbox": tmp_path / "till.db", "retry_policy": FAST} | options
        opened.append(PosClient(settings.pop("address", hq.address), **settings))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
