"""A process that posts in a loop and says on its standard output what became of it, line by line.

`python -m tests.support.posting_process LEDGER TERMINAL RUN [BALLAST]`: `acked ID…` after an answer, `busy ID…`
once when the disk is full, after which it removes the file BALLAST and posts on, `unknown` and `fatal` when the
store has failed.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from inventory_server.config import Settings
from inventory_server.store import OutcomeUnknown, open_store
from pos_client.protocol.errors import RequestError
from tests.support.ledgers import DAY, NOON, Clock, body, hello, item, post, uid, url_of

FRAME_POSTINGS = 3
AFTER_RELIEF_FRAMES = 5


def say(*words: object) -> None:
    """One line, in one write: a line is there or it is not."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def main(ledger: Path, terminal: str, run: str, ballast: Path | None, note_bytes: int = 200) -> None:
    """Post until killed, or until the store has failed, or for a while after the disk has room again."""
    store = open_store(url_of(ledger), Settings(), Clock(NOON + DAY), lambda _: say("fatal"))
    speaker = hello(store, terminal, terminal).speaker
    left = None
    for number in itertools.count():
        ids = [uid((run, number, each)) for each in range(FRAME_POSTINGS)]
        raws = [body("sale", (f"sku{number % 7}", each + 1), reference="x" * note_bytes) for each in range(len(ids))]
        try:
            post(store, speaker, *(item(raw, id_) for raw, id_ in zip(raws, ids, strict=True)))
        except OutcomeUnknown:
            say("unknown")
            return
        except RequestError as error:
            say(error.code.name, *ids)
            assert ballast is not None
            ballast.unlink()
            left = AFTER_RELIEF_FRAMES
            continue
        say("acked", *ids)
        left = None if left is None else left - 1
        if left == 0:
            store.close()
            return


if __name__ == "__main__":
    _, *_arguments = sys.argv
    main(Path(_arguments[0]), _arguments[1], _arguments[2], Path(_arguments[3]) if len(_arguments) > 3 else None)
