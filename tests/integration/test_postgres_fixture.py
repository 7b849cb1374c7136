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
from tests.support.sites import PostgresSite
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


CHANGES = {
    "column": "ALTER TABLE product ADD shelf text",
    "partition": "DROP TABLE posting_0",
    "rule": "CREATE RULE mine AS ON INSERT TO movement DO ALSO NOTHING",
    "function": "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "rights": "REVOKE UPDATE ON level FROM postgres",
    "upgraded": "UPDATE alembic_version SET version_num = '0002'",
    "setting": "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
}


@pytest.mark.long
def test_a_ledger_is_used_again_unless_a_test_has_changed_more_than_its_rows(postgres: Cluster) -> None:
    site = PostgresSite(postgres)

    def after(change: str) -> bool:
        """True where the database that was changed is used again."""
        used = site.new()
        site.execute(used, change)
        site.clear()
        again = site.new()
        site.clear()
        return again == used

    assert after("INSERT INTO product (sku, is_ranged) VALUES ('a', 0)")
    assert [name for name, change in CHANGES.items() if after(change)] == []


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
