"""A till program of its own, to be killed: sells, and writes down each sale once `sell` has returned.

python -m tests.support.till_program ADDRESS OUTBOX sell COUNT     sell COUNT times (0: for ever), then wait
python -m tests.support.till_program ADDRESS OUTBOX drain          deliver what is pending, then end
python -m tests.support.till_program ADDRESS OUTBOX fill           sell until the disk is full, then make room
"""

from __future__ import annotations

import itertools
import os
import resource
import sys
import time
from pathlib import Path

from pos_client import OutboxError, PosClient
from pos_client.till.policy import RetryPolicy

PACE = RetryPolicy(0.01, 0.1, (0.01, 0.1), (0.01, 0.1))


def say(word: object) -> None:
    """One line in one write: it is whole or it is not there."""
    os.write(1, f"{word}\n".encode())


def sell(till: PosClient, count: int) -> None:
    for number in range(count) if count else itertools.count():
        say(till.sell([("milk", 1)], reference=f"R-{number}").id)
        time.sleep(0.002)
    time.sleep(3600)


def drain(till: PosClient) -> None:
    while till.pending:
        time.sleep(0.01)


def fill(till: PosClient, outbox: Path) -> None:
    """Files may grow by 64 KiB and no more; then the limit is lifted, as if somebody had made room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log_bytes = outbox.with_name(outbox.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (log_bytes + (1 << 16), hard))
    try:
        while True:
            say(till.sell([("milk", 1)]).id)
    except OutboxError as error:
        print(error, file=sys.stderr)
    for _ in range(3):
        try:
            till.sell([("never", 1)])
        except OutboxError as error:
            print(error, file=sys.stderr)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    for _ in range(5):
        say(till.sell([("milk", 1)]).id)


def main(address: str, outbox: str, verb: str, count: str = "0") -> None:
    with PosClient(address, terminal="T1", location="L1", outbox=outbox, retry_policy=PACE, reply_seconds=10.0) as till:
        if verb == "sell":
            sell(till, int(count))
        elif verb == "drain":
            drain(till)
        else:
            fill(till, Path(outbox))


if __name__ == "__main__":
    main(*sys.argv[1:])
