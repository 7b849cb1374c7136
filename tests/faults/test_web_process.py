"""The web process is killed under a server that sells: it is started again, and no till notices."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from inventory_server.domain.people import AddToken, AddUser
from inventory_server.domain.requests import Enrol
from inventory_server.web.people import key_hash
from pos_client import PosClient
from tests.support.authorities import certified
from tests.support.maintenance import change, verified
from tests.support.processes import Server
from tests.support.sites import PostgresSite
from tests.support.waiting import HANG_SECONDS, wait_until

pytestmark = pytest.mark.long
KILLS = 3


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """A server with a till and a user's token, and the address of its web process."""
    with serving(tmp_path) as made:
        yield made


@contextmanager
def serving(folder: Path, *options: str, db: str | None = None) -> Iterator[tuple[Server, str]]:
    web = f"127.0.0.1:{free_port()}"
    server = Server(folder, "--web", web, *options, dev=False, db=db)
    change(server.db, Enrol("T1", "till", "L1", "secret"))
    change(server.db, AddUser("kim", "admin", b"link", 2**62))
    change(server.db, AddToken("kim", "test", key_hash("token")))
    server.start()
    try:
        yield server, f"http://{web}/api/v1"
    finally:
        server.stop()


def children(pid: int) -> list[int]:
    """The processes that the threads of a process have started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def web_of(pid: int) -> int:
    """The web process among the descendants of a process."""
    found = [child for child in children(pid) if b"--until-input-ends" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return found[0] if found else next(web_of(child) for child in children(pid) if children(child))


def asked(url: str, tls: ssl.SSLContext | None = None) -> bytes | None:
    """What the web process answers; None while it does not."""
    request = urllib.request.Request(url, headers={"Authorization": "Bearer token"})
    try:
        with urllib.request.urlopen(request, timeout=HANG_SECONDS, context=tls) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError, HTTPException):
        return None


def test_a_killed_web_process_is_started_again_while_a_till_sells(served: tuple[Server, str], tmp_path: Path) -> None:
    server, web = served
    sold, is_over = 0, threading.Event()

    def sell() -> None:
        nonlocal sold
        outbox = tmp_path / "till.db"
        with PosClient(server.address, terminal="T1", location="L1", token="secret", outbox=outbox) as till:
            while not is_over.is_set():
                till.sell([("a", 1)]).wait(HANG_SECONDS)
                sold += 1

    selling = threading.Thread(target=sell)
    selling.start()
    try:
        for _ in range(KILLS):
            wait_until(lambda: asked(f"{web}/stock"))
            pid = web_of(server.pid)
            before = sold
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda before=before: sold > before)  # type: ignore[misc]
    finally:
        is_over.set()
        selling.join()
    wait_until(lambda: asked(f"{web}/stock"))
    assert asked(f"{web}/stock?skus=a") is not None
    assert sold > 0
    assert verified(server.db).postings == sold


def test_the_web_process_ends_with_the_server_that_was_killed(served: tuple[Server, str]) -> None:
    server, web = served
    wait_until(lambda: asked(f"{web}/stock"))
    pid = web_of(server.pid)
    server.kill()
    wait_until(lambda: not Path(f"/proc/{pid}/exe").exists())
    server.start()
    wait_until(lambda: asked(f"{web}/stock"))


def test_a_stopping_server_takes_its_web_process_along(served: tuple[Server, str]) -> None:
    server, web = served
    wait_until(lambda: asked(f"{web}/stock"))
    pid = web_of(server.pid)
    assert server.stop() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_it_is_kept_beside_several_workers_too(tmp_path: Path, postgres_site: PostgresSite) -> None:
    config = tmp_path / "hq.toml"
    config.write_text("accept_weak_durability = true\n")
    with serving(tmp_path, "--workers", "2", "--config", str(config), db=postgres_site.new()) as (server, web):
        wait_until(lambda: asked(f"{web}/stock"))
        killed = web_of(server.pid)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{killed}/exe").exists())
        wait_until(lambda: asked(f"{web}/stock"))
        pid = web_of(server.pid)
        assert len(children(server.pid)) == 3, "two workers, and what keeps the web process"
        assert server.stop() == 0
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_it_serves_https_with_the_servers_certificate(tmp_path: Path) -> None:
    files = certified(tmp_path)
    tls = ["--tls-certificate", str(files.certificate), "--tls-key", str(files.key)]
    with serving(tmp_path, *tls) as (_, web):
        context = ssl.create_default_context(cafile=str(files.ca))
        secure = web.replace("http:", "https:")
        wait_until(lambda: asked(f"{secure}/stock", context))
        assert asked(f"{web}/stock") is None
