"""PgBouncer before a throw-away PostgreSQL: it lends its few connections out, one transaction at a time."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import Cluster, free_port, user_for_servers
from tests.support.waiting import HANG_SECONDS

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
_SETTINGS = """
[databases]
* = host={folder} port={server_port} user=postgres

[pgbouncer]
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
auth_type = any
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
"""


@contextmanager
def pooled(cluster: Cluster, connections: int) -> Iterator[int]:
    """The port of loopback at which all databases of `cluster` are reached, over so many connections each."""
    assert PROGRAM is not None, "pgbouncer is not installed"
    port = free_port()
    path = cluster.folder / f"pgbouncer-{port}.ini"
    values = {"folder": cluster.folder, "server_port": cluster.port, "port": port, "connections": connections}
    path.write_text(_SETTINGS.format(**values))
    path.chmod(0o644)
    with Path(os.devnull).open("wb") as nowhere:
        process = subprocess.Popen([PROGRAM, "-q", path], stdout=nowhere, stderr=nowhere, **user_for_servers())
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + HANG_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("PgBouncer does not start")
