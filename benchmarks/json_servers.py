"""The JSON server beside the package jsocket: round trips, stopping with idle clients, memory of 1,000 clients.

`python -m benchmarks.json_servers` prints a table; `… serve KIND PORT` is one of them, until SIGTERM.
"""

from __future__ import annotations

import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsocket

from benchmarks.servers import Server, free_port, python, running
from inventory_server.jsonserver import Handlers, JsonHandler, ServerFactory
from pos_client import JsonClient

ROUNDS = 5
ROUND_TRIPS = 40
IDLE_CLIENTS = 5
CLIENTS = 1_000
SETTLE_SECONDS = 0.5
TIMEOUT_SECONDS = 30.0
KINDS: dict[str, Handlers] = {"ours": "thread", "shared": "shared"}
"""Our servers: what calls the handlers of each."""
MESSAGE = {"sku": "ESPRESSO-1KG", "quantity": 2}


class Ours(JsonHandler):
    """Echoes, which never waits."""

    def may_block(self, frame: bytes) -> bool:  # noqa: ARG002 (as in the class)
        """False."""
        return False

    def handle_message(self, message: Any) -> Any:
        """The message."""
        return message


class Theirs(jsocket.ServerFactoryThread):
    """Echoes."""

    def _process_message(self, obj: Any) -> Any:
        return obj


def serve(which: str, port: int) -> None:
    """Serve until SIGTERM, and stop as a program would."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if which in KINDS:
        server: Any = ServerFactory(Ours, ("127.0.0.1", port), handlers=KINDS[which])
    else:
        server = jsocket.ServerFactory(Theirs, address="127.0.0.1", port=port)
    server.start()
    signal.sigwait({signal.SIGTERM})
    server.stop()
    server.join()


def round_trip_ms(request: Callable[[], None]) -> float:
    """The median of some round trips."""
    taken = []
    for _ in range(ROUND_TRIPS):
        begun = time.perf_counter()
        request()
        taken.append(time.perf_counter() - begun)
    return 1_000 * statistics.median(taken)


def measure(server: Server) -> list[float]:
    """Milliseconds of a round trip with the stock client and with ours, and KiB of a client."""
    stock = jsocket.JsonClient(address="127.0.0.1", port=server.port, timeout=TIMEOUT_SECONDS)
    stock.connect()

    def by_stock_client() -> None:
        stock.send_obj(MESSAGE)
        stock.read_obj()

    with JsonClient(("127.0.0.1", server.port)) as client:
        found = [round_trip_ms(by_stock_client), round_trip_ms(lambda: client.request(MESSAGE))]
    stock.close()
    before = server.resident_kib()
    clients = [JsonClient(("127.0.0.1", server.port)) for _ in range(CLIENTS)]
    for each in clients:
        each.connect()
        each.request(MESSAGE)
    found.append((server.resident_kib() - before) / CLIENTS)
    for each in clients:
        each.close()
    return found


def stop_seconds(which: str, log: Path) -> float:
    """How long the server takes to stop while some clients are connected and idle."""
    port = free_port()
    with running(python("json_servers", "serve", which, port), port, log):
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(IDLE_CLIENTS)]
        time.sleep(SETTLE_SECONDS)
        begun = time.monotonic()
    taken = time.monotonic() - begun
    for each in idle:
        each.close()
    return taken


def main() -> None:
    """Print medians and ranges of a few rounds, the servers in turns."""
    found: dict[str, list[list[float]]] = {"ours": [], "shared": [], "jsocket": []}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        for _ in range(ROUNDS):
            for which, rows in found.items():
                port = free_port()
                with running(python("json_servers", "serve", which, port), port, log) as server:
                    row = measure(server)
                rows.append([*row, stop_seconds(which, log)])
    print("| | jsonserver, a thread for each client | jsonserver, shared handlers | jsocket |\n|---|--:|--:|--:|")
    titles = (
        "round trip of the stock client, ms",
        "round trip of our client, ms",
        "memory of a client, KiB",
        f"stop with {IDLE_CLIENTS} idle clients, s",
    )
    for number, title in enumerate(titles):
        cells = [[row[number] for row in rows] for rows in found.values()]
        shown = [f"{statistics.median(cell):.3g} ({min(cell):.3g} to {max(cell):.3g})" for cell in cells]
        print(f"| {title} | {' | '.join(shown)} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main()
