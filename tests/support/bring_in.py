"""Reads sales files, and tells what would be posted and what is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pos_client.files.mapping import load_mapping
from pos_client.files.postings import FilePosting
from pos_client.files.problems import FileError
from pos_client.files.sales_file import SalesFiles
from pos_client.protocol import wire
from pos_client.protocol.printable import escaped
from pos_client.protocol.units import scaled, unscaled

INWARDS = {"sale": -1, "return": 1, "receipt": 1, "adjustment": 1, "transfer_out": -1, "transfer_in": 1}


@dataclass
class Came:
    """What a run posts, in the notation of the cases, and what it says."""

    stock: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    stopped: bool = False
    postings: list[FilePosting] = field(default_factory=list)
    read: SalesFiles | None = None


def bring_in(files: Sequence[Path], mapping: Path | None, changes: dict[str, Any]) -> Came:
    """Read `files` with a mapping overridden by `changes`."""
    came = Came()
    try:
        used = load_mapping(mapping, changes)
        read = SalesFiles(used, lambda problem: came.said.append(escaped(str(problem))))
        came.read = read
        for path in files:
            read.read(path)
        came.postings = [posting for till in read.tills() for posting in till.postings]
    except FileError as error:
        came.said.append(escaped(str(error)))
        came.stopped = True
    came.stock = stock_of(came.postings)
    return came


def stock_of(postings: Sequence[FilePosting]) -> dict[str, str]:
    """The change of each product's stock by `postings`; `=5` where it is counted as 5."""
    net: dict[str, int] = defaultdict(int)
    counts: dict[str, list[str]] = defaultdict(list)
    for posting in postings:
        body = wire.decode_body(posting.body)
        wire.check_body(body)
        assert isinstance(body.lines, list)
        for line in body.lines:
            name = line.sku if isinstance(line.sku, str) else f"gtin:{line.gtin}"
            if body.type == "count":
                counts[name].append(f"={line.quantity}")
            else:
                net[name] += INWARDS[str(body.type)] * scaled(line.quantity)
    told = {sku: str(unscaled(quantity)) for sku, quantity in net.items()}
    return told | {sku: " ".join(sorted(counted)) for sku, counted in counts.items()}
