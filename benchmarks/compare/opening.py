"""Opens the shop of a ledger over the wire: every location receives every product."""

from __future__ import annotations

import csv
import json
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from uuid import UUID

from benchmarks import trade
from benchmarks.servers import ServerError

LINES_MAX = 1_000
REPLY_SECONDS = 60.0


def write_catalog(path: Path) -> Path:
    """The products as a CSV file for `catalog import`."""
    with path.open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(("sku", "name", "unit"))
        rows.writerows((sku, f"Product {sku}", "each") for sku in trade.SKUS)
    return path


def receive_everything(port: int) -> None:
    """Post a delivery of `OPENING_STOCK` of every sku at every location; ServerError where one is not posted."""
    at = time.time_ns() // 1_000
    for number, location in enumerate(trade.LOCATIONS):
        with _Till(port, f"opening-{location}", location) as till:
            for params in deliveries(at, random.Random(number)):
                till.post(params)


def deliveries(at: int, rng: random.Random) -> Iterator[str]:
    """The parameters of `post` for all deliveries to one location at the instant `at`, in microseconds."""
    for first in range(0, len(trade.SKUS), LINES_MAX):
        body = trade.receipt_body(at, trade.SKUS[first : first + LINES_MAX], trade.OPENING_STOCK)
        yield f'{{"postings":[{{"id":"{UUID(bytes=trade.sale_id(at, rng))}","body":{body.decode()}}}]}}'


class _Till:
    """Says no more than every version of the protocol asks for."""

    def __init__(self, port: int, terminal: str, location: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=REPLY_SECONDS)
        self._answers = self._socket.makefile("rb")
        params = json.dumps({"terminal": terminal, "location": location})
        self._ask("hello", params, expected=b'"terminal"')

    def __enter__(self) -> _Till:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answers.close()
        self._socket.close()

    def post(self, params: str) -> None:
        """Post one posting and wait until it is."""
        self._ask("post", params, expected=b'"posted"')

    def _ask(self, method: str, params: str, expected: bytes) -> None:
        self._socket.sendall(f'{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}\n'.encode())
        answer = self._answers.readline()
        if expected not in answer:
            raise ServerError(f"The shop was not opened: {method} was answered with {answer[:300]!r}.")
