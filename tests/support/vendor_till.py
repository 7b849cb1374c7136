"""A POS vendor's own till in miniature, without the library: what the fault kit is pointed at in its tests.

`python vendor_till.py good` does it right; the other modes each make one mistake that is often made.
"""

import itertools
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

MODE = sys.argv[1]
STORE = os.path.join(os.environ["TILLWIRE_FOLDER"], "vendor.jsonl")
REPLY_SECONDS = 0.3
BATCH = 40


def load() -> dict[str, str]:
    """What was sold and has not been answered: body by id."""
    pending: dict[str, str] = {}
    if os.path.exists(STORE):
        with open(STORE) as lines:
            for line in lines:
                if line.endswith("\n"):
                    note = json.loads(line)
                    if "body" in note:
                        pending[note["id"]] = note["body"]
                    else:
                        pending.pop(note["id"], None)
    return pending


def store(**note: str) -> None:
    with open(STORE, "a") as file:
        file.write(json.dumps(note) + "\n")
        file.flush()
        os.fsync(file.fileno())


def sell(number: int, pending: dict[str, str]) -> None:
    posting_id, reference = str(uuid.uuid4()), f"{os.getpid()}-{number}"
    quantity = 0.1234567 if MODE == "inexact" else 1
    occurred_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    lines = [{"sku": "ESPRESSO-1KG", "quantity": quantity}]
    body = json.dumps({"type": "sale", "occurred_at": occurred_at, "lines": lines, "reference": reference})
    claim = "SOLD seventeen" if MODE == "nonsense" else f"SOLD {posting_id} {reference}"
    if MODE == "claims_first":
        print(claim, flush=True)
        time.sleep(0.05)
    store(id=posting_id, body=body)
    pending[posting_id] = body
    if MODE not in ("claims_first", "mute"):
        print(claim, flush=True)


@contextmanager
def connection() -> Iterator[tuple[socket.socket, Iterator[bytes]]]:
    host, _, port = os.environ["TILLWIRE_SERVER"].rpartition(":")
    with socket.create_connection((host, int(port)), REPLY_SECONDS) as hq, hq.makefile("rb") as lines:
        params = {"terminal": os.environ["TILLWIRE_TERMINAL"]}
        ask(hq, lines, "hello", json.dumps(params))
        yield hq, lines


def ask(hq: socket.socket, lines: Iterator[bytes], method: str, params: str) -> dict[str, object]:
    hq.sendall(f'{{"id":1,"method":"{method}","params":{params}}}\n'.encode())
    reply = json.loads(next(lines, b"{}"))
    if "result" not in reply:
        raise ConnectionError(reply)
    result: dict[str, object] = reply["result"]
    return result


def deliver(hq: socket.socket, lines: Iterator[bytes], pending: dict[str, str]) -> None:
    batch = list(pending.items())[:BATCH]
    if MODE == "forgets":
        for posting_id, _ in batch:
            settle(posting_id, pending)
    items = ",".join(f'{{"id":"{posting_id}","body":{body}}}' for posting_id, body in batch)
    try:
        results = ask(hq, lines, "post", f'{{"postings":[{items}]}}')["results"]
    except (OSError, ValueError):
        if MODE == "new_ids":
            for posting_id, body in batch:
                settle(posting_id, pending)
                fresh = str(uuid.uuid4())
                store(id=fresh, body=body)
                pending[fresh] = body
        raise
    assert isinstance(results, list)
    for result in results:
        settle(result["id"], pending)


def settle(posting_id: str, pending: dict[str, str]) -> None:
    if pending.pop(posting_id, None) is not None:
        store(id=posting_id)


def main() -> None:
    pending = load()
    numbers = itertools.count(1)
    while True:
        try:
            with connection() as (hq, lines):
                while True:
                    sell(next(numbers), pending)
                    deliver(hq, lines, pending)
                    time.sleep(0.01)
        except (OSError, ValueError):
            sell(next(numbers), pending)  # HQ is away: the customer does not care
            time.sleep(0.03)


if __name__ == "__main__":
    main()
