"""Failing or recording what a process writes to its disk: the Python side of `disk_shim.c`."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("disk_shim.c")
ON_FLUSH, ON_WRITE = 1, 2
FOR_EVER = -1
_HEAD = struct.Struct("<cHQI")


class Operation(NamedTuple):
    """One recorded step: `w`rite, `t`runcate, `s`ync, `d`elete of `path`, or a `m`ark with a number as `offset`."""

    kind: str
    path: str
    offset: int
    data: bytes


def build(folder: Path) -> Path | None:
    """Compile the shim into `folder`; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    target = folder / "disk_shim.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(target), str(SOURCE), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return target


def is_loaded() -> bool:
    """True in a process that the shim was preloaded into."""
    return "disk_shim" in os.environ.get("LD_PRELOAD", "")


def scope(prefix: str) -> None:
    """Touch only files whose path begins with `prefix`."""
    _library().shim_scope(prefix.encode())


def fail(operations: int, error: int, count: int = FOR_EVER) -> None:
    """Have the next `count` writes or flushes fail with `error`; a count of 0 heals."""
    _library().shim_fail(operations, error, count)


def failures() -> int:
    """How many operations have failed since the last `fail`."""
    return int(_library().shim_failures())


def record(path: Path) -> None:
    """Record from now on what is done to the files in scope."""
    if _library().shim_record(str(path).encode()) < 0:
        raise OSError(f"cannot record to {path}")


def mark(number: int) -> None:
    """Put a mark into the recording."""
    _library().shim_mark(ctypes.c_uint64(number))


def recorded(path: Path) -> Iterator[Operation]:
    """The steps of a recording, in order."""
    stored = path.read_bytes()
    at = 0
    while at < len(stored):
        kind, path_size, offset, size = _HEAD.unpack_from(stored, at)
        at += _HEAD.size
        name = stored[at : at + path_size].decode()
        at += path_size
        data = b""
        if kind == b"w":
            data = stored[at : at + size]
            at += size
        yield Operation(kind.decode(), name, offset, data)


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)
