"""The layout of the cluster: ports, folders, passwords, and configuration files rendered from templates."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from string import Template

HOST = "127.0.0.1"
MACHINES = (1, 2, 3)
SERVERS = (1, 2)
BASE_PORT = 25_400
POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
PROGRAMS = {
    "etcd": "etcd-server",
    "patroni": "patroni",
    "haproxy": "haproxy",
    "psql": "postgresql-client-15",
    str(POSTGRES_BIN / "postgres"): "postgresql-15",
}
"""Required programs, and the Debian package of each."""
SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_HERE = Path(__file__).parent
_DECADES = {"postgres": 10, "patroni": 20, "etcd": 30, "etcd_peer": 40, "server": 60}
_ACCOUNTS = ("patroni", "postgres", "replicator", "rewinder", "tillwire")


class ClusterError(Exception):
    """The cluster cannot do that; the message is one sentence with the next step."""


def missing_packages() -> list[str]:
    """The Debian packages that are missing here."""
    return [package for program, package in PROGRAMS.items() if shutil.which(program, path=SEARCH_PATH) is None]


@dataclass(frozen=True)
class Layout:
    """One cluster: `folder` holds all of it, and the ports are those from `base_port` to `base_port` + 62."""

    folder: Path
    base_port: int = BASE_PORT
    synchronous: bool = True
    passwords: dict[str, str] = field(default_factory=lambda: {name: secrets.token_hex(12) for name in _ACCOUNTS})

    @property
    def primary_port(self) -> int:
        """HAProxy: the current primary."""
        return self.base_port

    @property
    def replicas_port(self) -> int:
        """HAProxy: a standby without much lag."""
        return self.base_port + 1

    @property
    def tills_port(self) -> int:
        """HAProxy: a Tillwire server."""
        return self.base_port + 2

    def port(self, what: str, number: int) -> int:
        """The port of one program on one machine: postgres, patroni, etcd, etcd_peer, or a Tillwire `server`."""
        return (
            self.base_port + {"postgres": 10, "patroni": 20, "etcd": 30, "etcd_peer": 40, "server": 60}[what] + number
        )

    def machine(self, number: int) -> Path:
        """The folder of one machine."""
        return self.folder / f"n{number}"

    def ports(self) -> list[int]:
        """Every port except the Tillwire servers' own, which the example does not start."""
        kinds = ("postgres", "patroni", "etcd", "etcd_peer")
        own = [self.port(what, number) for number in MACHINES for what in kinds]
        return [self.primary_port, self.replicas_port, self.tills_port, *own]

    def url(self, port: int | None = None) -> str:
        """The database URL for `inventory-server --db`; its password is in the file that `passfile` names."""
        waits = "connect_timeout=3&tcp_user_timeout=5000"
        where = f"{HOST}:{port or self.primary_port}/tillwire"
        return f"postgresql+psycopg://tillwire@{where}?passfile={self.passfile}&{waits}"

    @property
    def passfile(self) -> Path:
        """libpq's password file for the account `tillwire`."""
        return self.folder / "tillwire.pgpass"

    def configuration(self) -> dict[str, str]:
        """Every configuration file, rendered from its template, by its path in the folder."""
        files = {"haproxy.cfg": _fill_in("haproxy.cfg", self._common())}
        for number in MACHINES:
            for name in ("etcd.yml", "patroni.yml"):
                files[f"{self.machine(number).name}/{name}"] = _fill_in(name, self._of_machine(number))
        return files

    def save(self) -> None:
        """Create the folder and write every file into it, readable by the programs' user."""
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError:
            raise ClusterError(f"{self.folder} is there already; run the verb `down` first, or name another.") from None
        self.folder.chmod(0o755)
        _write(self.folder / "cluster.json", json.dumps(asdict(self), default=str, indent=2))
        _write(self.passfile, f"{HOST}:*:tillwire:tillwire:{self.passwords['tillwire']}\n")
        for number in MACHINES:
            self.machine(number).mkdir(mode=0o700)
            _give_away(self.machine(number))
        for name, text in self.configuration().items():
            _write(self.folder / name, text)
            _give_away(self.folder / name)
        if subprocess.run(["test", "-r", self.folder / "haproxy.cfg"], check=False, **account()).returncode:  # type: ignore[call-overload]
            shutil.rmtree(self.folder)
            raise ClusterError(f"The user postgres cannot look into {self.folder}; name a --folder that it can reach.")

    def _common(self) -> dict[str, object]:
        names = ("primary_port", "replicas_port", "tills_port")
        values: dict[str, object] = {"scope": "tillwire", "host": HOST, "network": f"{HOST}/32"}
        values |= {name: getattr(self, name) for name in names}
        values |= {f"server_port{number}": self.port("server", number) for number in SERVERS}
        for number in MACHINES:
            values[f"host{number}"] = HOST
            kinds = ("postgres", "patroni", "etcd", "etcd_peer")
            values |= {f"{what}_port{number}": self.port(what, number) for what in kinds}
        return values

    def _of_machine(self, number: int) -> dict[str, object]:
        own = {f"{what}_port": self.port(what, number) for what in ("postgres", "patroni", "etcd", "etcd_peer")}
        passwords = {f"{account}_password": password for account, password in self.passwords.items()}
        more = {"name": f"n{number}", "folder": self.machine(number), "postgres_bin": POSTGRES_BIN}
        return self._common() | own | passwords | more | {"synchronous": str(self.synchronous).lower()}


def load(folder: Path) -> Layout:
    """The cluster in `folder`."""
    path = folder / "cluster.json"
    try:
        saved = json.loads(path.read_text())
    except FileNotFoundError:
        raise ClusterError(f"There is no cluster in {folder}; start one with the verb `up`.") from None
    return Layout(folder, saved["base_port"], saved["synchronous"], saved["passwords"])


def ports_in_use(layout: Layout) -> list[int]:
    """Its ports that are already in use."""
    return [port for port in layout.ports() if _is_taken(port)]


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def account() -> dict[str, object]:
    """subprocess options for the programs' user: PostgreSQL refuses root, so that is the package's user."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _fill_in(template: str, values: dict[str, object]) -> str:
    return Template((_HERE / template).read_text()).substitute(values)


def _give_away(path: Path) -> None:
    if user := account():
        os.chown(path, user["user"], user["group"])  # type: ignore[arg-type]


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
