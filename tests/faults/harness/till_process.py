"""A till under test: a small POS program on `PosClient` that sells as fast as it may and keeps a journal of it.

Killed and started again, it goes on as a till program should: baskets that were opened and have no receipt are sold
under the id they got when they were opened.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw

from pos_client.protocol.errors import ConnectionLost, RequestError
from pos_client.protocol.messages import Body, Line, PostingResult
from pos_client.protocol.units import instant
from pos_client.protocol.uuid7 import Uuid7
from pos_client.protocol.wire import encode_body
from pos_client.till.client import PosClient
from pos_client.till.policy import RetryPolicy
from tests.faults.harness import control, journal
from tests.faults.harness.till_mutants import MUTANTS
from tests.support.waiting import HANG_SECONDS

PACE = RetryPolicy(
    backoff_first_seconds=0.02,
    backoff_max_seconds=0.25,
    fenced_seconds=(0.05, 0.25),
    refused_seconds=(0.05, 0.25),
    alone_seconds=20.0,
)
SKUS = 12
_KINDS = ("sale",) * 16 + ("return", "receipt", "adjustment", "count")


class Till:
    """One till program; `mutants` are the names of what it does wrong on purpose."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.mutants = set(options.get("mutants", ()))
        self._terminal = options["terminal"]
        self._random = random.Random(options["seed"])
        self._offset_micros = int(options.get("clock_offset_seconds", 0) * 1_000_000)
        self._new_id = Uuid7(self._clock, random.Random(os.urandom(16)))
        self._pause_seconds = options.get("pause_seconds", 0.002)
        self._pending_max = options.get("pending_max", 60)
        self._extended = options.get("extended", False)
        self._kill_before_receipt = 0
        self._selling = threading.Event()
        self._basket = threading.Lock()  # held while a basket is rung up
        if options.get("selling", True):
            self._selling.set()
        path = Path(options["journal"])
        self._journal = journal.Writer(path)
        self._account = journal.Account()
        self._account.read([path])
        self._sold = 0
        self._run_mark = os.urandom(3).hex()  # a restored till must not reuse receipt numbers
        self._location = options["location"]
        self._client = PosClient(
            options["address"],
            terminal=self._terminal,
            outbox=options["db"],
            location=self._location,
            token=options.get("token"),
            on_result=self._on_result,
            clock=self._clock,
            retry_policy=PACE,
            connect_seconds=options.get("reply_seconds", 0.7),
            reply_seconds=options.get("reply_seconds", 0.7),
        )

    def _clock(self) -> int:
        return time.time_ns() // 1_000 + self._offset_micros

    def _on_result(self, result: PostingResult) -> None:
        entry = f"{result.position} {result.recorded_at}"
        self._journal.write(journal.Line("answered", result.id, status=result.status, entry=entry))

    def run(self) -> None:
        """Sell until killed."""
        while True:
            self._selling.wait()
            if self._client.pending >= self._pending_max:
                time.sleep(0.01)
                continue
            with self._basket:
                if self._selling.is_set():
                    self._open_and_sell()
            time.sleep(self._pause_seconds * self._random.uniform(0.2, 1.8))

    def resume(self) -> None:
        """Sell what was rung up before the program was killed and has no receipt."""
        for body, posting_id in list(self._account.baskets.items()):
            if posting_id in self._account.sold:
                continue
            if "ring_again" in self.mutants:
                self._sell(self._new_id(), body.encode())
            else:
                self._store(posting_id, body.encode())

    def _open_and_sell(self) -> None:
        self._sold += 1
        body = encode_body(self._body(f"{self._terminal}-{self._run_mark}-{self._sold}"))
        posting_id = MUTANTS["clock_ids"](self._clock()) if "clock_ids" in self.mutants else self._new_id()
        self._sell(posting_id, body)

    def _sell(self, posting_id: UUID, body: bytes) -> None:
        self._journal.write(journal.Line("intent", posting_id, body=body.decode()))
        self._store(posting_id, body)

    def _store(self, posting_id: UUID, body: bytes) -> None:
        receipt = journal.Line("sold", posting_id)
        if "receipt_first" in self.mutants:
            self._journal.write(receipt)
            time.sleep(0.01)
        if "clock_ids" in self.mutants and self._client.outbox.find(posting_id) is not None:
            self._journal.write(receipt)
            return
        self._client.post(msgspec.json.decode(body, type=Body), id=posting_id)
        if self._kill_before_receipt:
            self._kill_before_receipt -= 1
            if not self._kill_before_receipt:
                os.kill(os.getpid(), signal.SIGKILL)
        if "receipt_first" not in self.mutants:
            self._journal.write(receipt)

    def _body(self, reference: str) -> Body:
        rng = self._random
        kind: Any = rng.choice(_KINDS)
        lines = [Line(quantity=rng.randint(1, 9), sku=f"sku-{rng.randrange(SKUS)}") for _ in range(rng.randint(1, 4))]
        ext = Raw(msgspec.json.encode({"loyalty": rng.randint(1, 10**6), "v": "2.1"})) if self._extended else UNSET
        at = instant(self._clock())
        return Body(kind, at, lines, location=self._location, reference=reference, ext=ext)

    def answer(self, request: Mapping[str, Any]) -> Any:
        """Carry out one request of the harness."""
        if "selling" in request:
            with self._basket:  # so that none is on its way into the outbox when this has been answered
                (self._selling.set if request["selling"] else self._selling.clear)()
        if "clock_offset_seconds" in request:
            self._offset_micros = int(request["clock_offset_seconds"] * 1_000_000)
        if "kill_before_receipt" in request:
            self._kill_before_receipt = request["kill_before_receipt"]
        if "parked" in request:
            return {str(parked.id): [parked.code, parked.reason] for parked in self._client.outbox.parked()}
        if "bye" in request:
            return self._say_bye()
        status = self._client.status()
        return {"pending": status.pending, "parked": status.parked, "error": status.last_error}

    def _say_bye(self) -> str:
        try:
            return self._client.bye(timeout=HANG_SECONDS / 2).status
        except (ConnectionLost, RequestError) as error:
            return str(error)


def run(options: Mapping[str, Any]) -> int:
    """Run the till until it is killed."""
    for name in options.get("mutants", ()):
        MUTANTS[name](options)
    till = Till(options)
    till.resume()
    control.serve(options["control"], till.answer)
    till.run()
    return 0
