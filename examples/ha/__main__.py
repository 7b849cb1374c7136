"""`python3 -m examples.ha VERB`: a fault-tolerant PostgreSQL cluster on this machine, to break and watch."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from examples.ha.cluster import Cluster
from examples.ha.layout import BASE_PORT, HOST, MACHINES, ClusterError, Layout

CANNOT = 1


def _up(chosen: argparse.Namespace) -> None:
    cluster = Cluster.up(Layout(chosen.folder, chosen.base_port, not chosen.asynchronous))
    _list(cluster)
    print(f"tills: {HOST}:{cluster.layout.tills_port}")
    _url(cluster)


def _list(cluster: Cluster) -> None:
    for member in cluster.members():
        lag = "" if member.lag is None else f"{member.lag} bytes behind"
        print(f"{member.name:4}{member.role:14}{member.state:11}{lag}".rstrip())


def _url(cluster: Cluster) -> None:
    print(f"--db '{cluster.layout.url()}'")
    print(f"--read-db '{cluster.layout.url(cluster.layout.replicas_port)}'")


def _kill_primary(cluster: Cluster) -> None:
    number = cluster.primary()
    cluster.kill_postgres(number)
    print(f"killed PostgreSQL on machine {number}")


def _kill_machine(cluster: Cluster) -> None:
    number = cluster.primary()
    cluster.kill_machine(number)
    print(f"killed machine {number}; bring it back with: start")


def _start(cluster: Cluster) -> None:
    for number in MACHINES:
        cluster.start_machine(number)


VERBS: dict[str, tuple[Callable[[Cluster], None], str]] = {
    "wait": (Cluster.wait, "return once there are a primary and two standbys"),
    "list": (_list, "who is what"),
    "url": (_url, "the options that lead inventory-server to this cluster"),
    "kill-primary": (_kill_primary, "kill -9 of the primary's postmaster"),
    "kill-machine": (_kill_machine, "kill -9 of everything on the primary's machine"),
    "switchover": (Cluster.switch_over, "hand the primary's part over, as before maintenance"),
    "start": (_start, "start what was killed"),
    "down": (Cluster.down, "end everything and remove the folder"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m examples.ha", description=__doc__)
    default = Path(tempfile.gettempdir()) / "tillwire-ha"
    parser.add_argument("--folder", type=lambda text: Path(text).absolute(), default=default, help=f"default {default}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="start three machines and HAProxy, and return when tills could sell")
    up.add_argument("--base-port", type=int, default=BASE_PORT, help=f"the first of 63 ports, default {BASE_PORT}")
    up.add_argument("--asynchronous", action="store_true", help="COMMIT waits for no standby: a failover loses sales")
    for name, (_, what) in VERBS.items():
        verbs.add_parser(name, help=what)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.verb == "up":
            _up(chosen)
        else:
            VERBS[chosen.verb][0](Cluster.find(chosen.folder))
    except ClusterError as error:
        print(f"examples.ha: {error}", file=sys.stderr)
        return CANNOT
    return 0


if __name__ == "__main__":
    sys.exit(main())
