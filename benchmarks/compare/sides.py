"""One side of a comparison: a source tree, the shop its own code made, and servers that run from it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import ledgers, servers
from benchmarks.compare import opening
from benchmarks.servers import Server, ServerError

_WHERE = "import inventory_server, pos_client; print(inventory_server.__file__, pos_client.__file__, sep='\\n')"


class Side:
    """A tree that is driven by its commands and over the wire only; ledgers and logs lie in `folder`."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self._tree = tree.resolve()
        self._folder = folder
        self._shop = folder / "shop"
        self._shop.mkdir(parents=True)

    def prepare(self) -> None:
        """Make sure that it is this tree that runs, and open the shop which every measurement starts from."""
        self._check_imports()
        ledger = self._shop / "ledger.db"
        self._run("-m", "inventory_server.cli", "db", "upgrade", "--db", f"sqlite:///{ledger}")
        self._check_schema(ledger)
        catalog = opening.write_catalog(self._folder / "catalog.csv")
        self._run("-m", "inventory_server.cli", "catalog", "import", str(catalog), "--db", f"sqlite:///{ledger}")
        with self._serving(ledger) as server:
            opening.receive_everything(server.port)

    @contextlib.contextmanager
    def serving_opened_shop(self) -> Iterator[Server]:
        """A server on a new copy of the opened shop."""
        copy = self._folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in self._shop.iterdir():  # whatever this tree keeps beside the database
            ledgers.copy(file, copy / file.name)
        with self._serving(copy / "ledger.db") as server:
            yield server

    @contextlib.contextmanager
    def _serving(self, ledger: Path) -> Iterator[Server]:
        port = servers.free_port()
        command = [sys.executable, "-m", "inventory_server.cli", "serve", "--dev"]
        command += ["--db", f"sqlite:///{ledger}", "--listen", f"127.0.0.1:{port}"]
        with servers.running(command, port, self._folder / "server.log", self._tree) as server:
            yield server

    def _check_imports(self) -> None:
        """An installed Tillwire must not stand in for the tree's own."""
        for line in self._run("-c", _WHERE).splitlines():
            if not Path(line).resolve().is_relative_to(self._tree):
                raise ServerError(f"{line} would be measured instead of what is in {self._tree}.")

    def _check_schema(self, ledger: Path) -> None:
        """The migrations that ran must be the tree's own."""
        with contextlib.closing(sqlite3.connect(ledger)) as connection:
            (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        own = (script.read_text() for script in self._tree.glob("**/migrations/versions/*.py"))
        if not any(f'"{revision}"' in text for text in own):
            raise ServerError(f"The ledger has schema {revision}, which {self._tree} does not define.")

    def _run(self, *arguments: str) -> str:
        """What Python prints when it runs `arguments` in the tree."""
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._tree,
            env=servers.importing_from(self._tree),
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ServerError(f"python {' '.join(arguments)} failed in {self._tree}: {reason[:500]}")
        return done.stdout
