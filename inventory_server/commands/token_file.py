"""Files for new tokens, which only their owner may read. HQ keeps the hash of a token alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pos_client.commands import console


def write_new(path: Path, lines: Sequence[str]) -> None:
    """Write `lines` to a new file with mode 0600."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            written.write("".join(f"{line}\n" for line in lines))
            written.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise console.CommandError(f"{path} cannot be written: {error.strerror}. Name a new file.") from error


@contextmanager
def issued(path: Path, token: str, replaces: bool = False) -> Iterator[None]:
    """Write `token` to `path` around the change that makes it valid; the file is there only if that was made.

    It is written under another name before: a token that is valid and not written is lost. `replaces` an earlier one.
    """
    if not replaces and path.exists():
        raise console.CommandError(f"{path} exists already: remove it, or name another file with --token-file.")
    fresh = path.with_name(f"{path.name}.new")
    write_new(fresh, [token])
    try:
        yield
    except BaseException:
        fresh.unlink()
        raise
    fresh.replace(path)
