"""A PostgreSQL to measure on: default durability, with the same opening-day data as all servers."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import ledgers
from inventory_server.store import upgrade
from inventory_server.store.ledger import tables
from tests.support.postgres import Cluster, binaries

SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "2GB", "max_connections": "120"}
"""Changes to the defaults: memory for the levels, and checkpoints as infrequent as in production."""
_TEMPLATE = "opened"


def is_here() -> bool:
    """True if a PostgreSQL can be started."""
    return binaries() is not None


class Shop:
    """A running PostgreSQL whose databases are copies of the opening-day ledger."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.execute(f'CREATE DATABASE "{_TEMPLATE}"')
        upgrade(cluster.url(_TEMPLATE))
        with cluster.connect(_TEMPLATE) as target, contextlib.closing(sqlite3.connect(ledgers.prepared(0))) as source:
            for table in tables.metadata.sorted_tables:
                _copy(source, target, table.name, [column.name for column in table.columns])
            target.execute("VACUUM ANALYZE")

    def database(self) -> str:
        """Create a fresh copy and return its name."""
        name = self._cluster.database(_TEMPLATE)
        self._cluster.execute("CHECKPOINT")
        return name

    def url(self, database: str) -> str:
        """The URL of `name` for `--db`."""
        return self._cluster.url(database)

    def size(self, database: str, *names: str) -> int:
        """Bytes of the tables, including partitions and indexes."""
        wanted = ", ".join(f"('{name}')" for name in names)
        query = f"SELECT sum(pg_total_relation_size(coalesce(relid, name::regclass)))::bigint FROM (VALUES {wanted}) "
        query += "AS wanted (name) LEFT JOIN pg_partition_tree(name::regclass) ON true"
        [(size,)] = self._cluster.execute(query, database)
        return int(size)

    def pgbench(self, database: str, script: Path, clients: int, seconds: float) -> float | None:
        """Transactions per second of `clients` running `script` with prepared statements; None without pgbench."""
        program = (binaries() or Path()) / "pgbench"
        if not program.exists():
            return None
        command = [program, "-n", "-M", "prepared", "-c", clients, "-j", 2, "-T", max(1, round(seconds)), "-f", script]
        command += ["-h", self._cluster.folder, "-p", self._cluster.port, "-U", "postgres", database]
        done = subprocess.run([str(each) for each in command], check=True, capture_output=True, text=True)
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("tps = "))
        return float(line.split()[2])


@contextlib.contextmanager
def shop() -> Iterator[Shop]:
    """Run a private server until the block ends."""
    with Cluster(durable=True, tcp=True, settings=SETTINGS) as cluster:
        yield Shop(cluster)


def _copy(source: sqlite3.Connection, target: Any, table: str, columns: list[str]) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    target.execute(f'TRUNCATE "{table}" CASCADE')
    with target.cursor().copy(f'COPY "{table}" ({names}) FROM STDIN') as copying:
        for row in source.execute(f'SELECT {names} FROM "{table}"'):
            copying.write_row(row)
