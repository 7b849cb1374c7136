"""The PostgreSQL that the tests bring up is theirs alone, and leaves nothing behind."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import Cluster, binaries
from tests.support.processes import ROOT, environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL here")


def test_databases_are_copies_and_apart(postgres: Cluster) -> None:
    template = postgres.database()
    postgres.execute("CREATE TABLE shelf (sku text)", template)
    first, second = postgres.database(template), postgres.database(template)
    postgres.execute("INSERT INTO shelf VALUES ('a')", first)
    assert postgres.execute("SELECT count(*) FROM shelf", second) == [(0,)]
    for name in (first, second, template):
        postgres.drop(name)


@pytest.mark.long
@pytest.mark.parametrize("version", [15, 18])
def test_a_server_that_is_killed_starts_again_with_what_was_committed(version: int) -> None:
    with Cluster(version, durable=True, tcp=True) as cluster:
        cluster.execute("CREATE TABLE kept AS SELECT 7 AS n")
        cluster.kill()
        with pytest.raises(psycopg.OperationalError):
            cluster.connect()
        cluster.start()
        assert cluster.execute("SELECT n FROM kept") == [(7,)]
    assert not cluster.folder.exists()


@pytest.mark.long
def test_it_ends_with_the_process_that_brought_it_up() -> None:
    script = "import time; from tests.support.postgres import Cluster\n"
    script += "with Cluster() as cluster: print(cluster.folder, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment(), stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().decode().strip())
        child.send_signal(signal.SIGKILL)
    wait_until(lambda: not (folder / "data" / "postmaster.pid").exists(), "the server to end")
    shutil.rmtree(folder)
