"""Who may import whom: the folders are the architecture, and this is their plan: rooms with one-way doors."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from inventory_server import jsonserver

ROOT = Path(__file__).resolve().parents[2]

CLI = ["click", "rich"]
SQL = ["sqlalchemy", "alembic"]
WEB = ["prometheus_client", "starlette", "uvicorn", "anyio", "jinja2", "argon2"]

# Each room (a folder, or a file beside the folders) and what it may import beside itself and the standard library:
# other rooms, and distributions by name. A folder without a line of its own belongs to the room around it.
ROOMS: dict[str, list[str]] = {
    "pos_client.protocol": ["msgspec"],
    "pos_client.transport": ["pos_client.protocol", "msgspec"],
    "pos_client.till": ["pos_client.transport", "pos_client.protocol", "msgspec"],
    "pos_client.files": ["pos_client.protocol", "msgspec", "python_calamine"],
    "pos_client.barcodes": ["pos_client.protocol", "msgspec", "biip"],
    "pos_client.replay": ["pos_client.files", "pos_client.protocol", "msgspec"],
    "pos_client.faultkit": ["pos_client.protocol", "msgspec"],
    "pos_client": ["pos_client.till", "pos_client.transport", "pos_client.protocol"],
    "pos_client.aio": ["pos_client.till", "pos_client.protocol"],
    "pos_client.commands": [
        "pos_client.till",
        "pos_client.transport",
        "pos_client.files",
        "pos_client.replay",
        "pos_client.faultkit",
        "pos_client.protocol",
        "msgspec",
        *CLI,
    ],
    "pos_client.cli": ["pos_client.commands"],
    "inventory_server": [],
    "inventory_server.clock": [],
    "inventory_server.resources": [],
    "inventory_server.config": ["inventory_server.jsonserver", "pos_client.protocol"],
    "inventory_server.domain": ["pos_client.protocol", "msgspec"],
    "inventory_server.jsonserver": ["pos_client.protocol", "msgspec"],
    "inventory_server.protocol": [
        "inventory_server.domain",
        "inventory_server.jsonserver",
        "inventory_server.config",
        "pos_client.protocol",
        "msgspec",
    ],
    "inventory_server.protocol.describe": ["inventory_server.domain", "pos_client.protocol", "msgspec"],
    "inventory_server.store.ledger": [
        "inventory_server.domain",
        "inventory_server.config",
        "pos_client.protocol",
        "msgspec",
        *SQL,
    ],
    "inventory_server.store.database": [
        "inventory_server.store.ledger",
        "inventory_server.domain",
        "inventory_server.config",
        "inventory_server.resources",
        "pos_client.protocol",
        "psycopg",
        *SQL,
    ],
    **{
        f"inventory_server.store.{room}": [
            "inventory_server.store.database",
            "inventory_server.store.ledger",
            "inventory_server.domain",
            "inventory_server.config",
            "inventory_server.clock",
            "pos_client.protocol",
            "msgspec",
            *SQL,
        ]
        for room in ("write", "query", "verify", "growth", "admin")
    },
    "inventory_server.store": [
        *(f"inventory_server.store.{room}" for room in ("write", "query", "verify", "growth", "admin", "database")),
        "inventory_server.domain",
        "inventory_server.config",
        "inventory_server.clock",
        "pos_client.protocol",
        *SQL,
    ],
    "inventory_server.imports": ["inventory_server.domain", "pos_client.files", "pos_client.protocol", "msgspec"],
    "inventory_server.admin": [
        "inventory_server.store",
        "inventory_server.protocol",
        "inventory_server.jsonserver",
        "inventory_server.domain",
        "inventory_server.config",
        "inventory_server.clock",
        "pos_client.transport",
        "pos_client.protocol",
        "msgspec",
    ],
    "inventory_server.feed": ["inventory_server.domain", "inventory_server.config", "pos_client.protocol", "msgspec"],
    "inventory_server.counters": ["inventory_server.domain"],
    "inventory_server.large_frames": ["inventory_server.jsonserver"],
    "inventory_server.heartbeats": ["pos_client.protocol", "inventory_server.domain", "inventory_server.config"],
    "inventory_server.asking": ["inventory_server.jsonserver", "inventory_server.domain", "inventory_server.config"],
    "inventory_server.revocations": ["pos_client.protocol", "inventory_server.domain", "inventory_server.config"],
    "inventory_server.app": [
        "inventory_server.counters",
        "inventory_server.revocations",
        "inventory_server.asking",
        "inventory_server.heartbeats",
        "inventory_server.large_frames",
        "inventory_server.feed",
        "inventory_server.protocol",
        "inventory_server.jsonserver",
        "inventory_server.domain",
        "inventory_server.config",
        "inventory_server.clock",
        "inventory_server.resources",
        "pos_client.protocol",
        "msgspec",
    ],
    "inventory_server.web": [
        "inventory_server.admin",
        "inventory_server.store",
        "inventory_server.feed",
        "inventory_server.protocol",
        "inventory_server.domain",
        "inventory_server.config",
        "inventory_server.clock",
        "inventory_server.resources",
        "pos_client.protocol",
        "msgspec",
        *WEB,
    ],
    "inventory_server.observer": [
        "inventory_server.admin",
        "inventory_server.store",
        "inventory_server.domain",
        "inventory_server.config",
        "inventory_server.clock",
        "pos_client.protocol",
        "msgspec",
    ],
    "inventory_server.pki": ["inventory_server.config", "pos_client.protocol", "cryptography"],
    "inventory_server.systemd": ["pos_client.protocol"],
    "inventory_server.keeper": ["inventory_server.config"],
    "inventory_server.supervisor": ["inventory_server.config", "pos_client.protocol"],
    "inventory_server.demo": [
        "inventory_server.app",
        "inventory_server.store",
        "inventory_server.imports",
        "inventory_server.domain",
        "inventory_server.config",
        "inventory_server.clock",
        "pos_client.till",
        "pos_client.transport",
        "pos_client.protocol",
    ],
    "inventory_server.commands": [
        "inventory_server.app",
        "inventory_server.web",
        "inventory_server.keeper",
        "inventory_server.admin",
        "inventory_server.demo",
        "inventory_server.imports",
        "inventory_server.supervisor",
        "inventory_server.systemd",
        "inventory_server.pki",
        "inventory_server.observer",
        "inventory_server.jsonserver",
        "inventory_server.store",
        "inventory_server.domain",
        "inventory_server.config",
        "inventory_server.clock",
        "pos_client.commands",
        "pos_client.files",
        "pos_client.protocol",
        "msgspec",
        *CLI,
    ],
    "inventory_server.cli": ["inventory_server.commands"],
    "schema.migrations": ["inventory_server.store.ledger", *SQL],
}

# Pure: what these do depends on what is passed in, and on nothing else. The protocol's session is sans I/O too.
PURE = {"pos_client.protocol", "inventory_server.domain", "inventory_server.protocol"}
MAY_LOCK = {"pos_client.protocol.uuid7"}
"""Has a lock, and is given its randomness."""
CLOCKS_CHANCE_AND_IO = {
    *("asyncio", "io", "multiprocessing", "os", "random", "secrets", "select", "selectors", "shutil", "signal"),
    *("socket", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib"),
}


# Whatever connects, accepts, reads, writes, waits on or closes a socket is in these rooms alone.
SOCKET_ROOMS = {
    "inventory_server.jsonserver",
    "pos_client.transport",
    # Plays an unreliable server for integrators' tests: it closes connections where the protocol forbids it.
    "pos_client.faultkit",
    # Takes over the listening sockets that systemd passes, and tells it that the server is ready.
    "inventory_server.systemd",
    # Sends alerts to webhooks, by http.client, and hangs up on one that takes too long.
    "inventory_server.observer",
    # Awaits its own threads and opens nothing.
    "pos_client.aio",
    # Uvicorn listens and accepts there, and a feed waits on its loop.
    "inventory_server.web",
}
SOCKET_MODULES = {"asyncio", "select", "selectors", "socket", "socketserver", "ssl"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path.read_text()
    for folder in ("pos_client", "inventory_server", "schema/migrations")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def room_of(module: str) -> str:
    """The room that holds `module`: its own name where that is one, else the nearest folder around it that is."""
    room = module
    while room not in ROOMS:
        room = room.rpartition(".")[0]
        # The files beside the rooms are rooms themselves, so that a new one takes a stand.
        assert room not in ("inventory_server", ""), f"{module} is in no room"
    return room


def imports(source: str) -> Iterator[str]:
    """The modules that `source` imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in SOURCES else str(node.module)


def forbidden(module: str, source: str) -> list[str]:
    """The imports of `source` for which no door is open."""
    room = room_of(module)
    allowed = {room, *ROOMS[room]}
    wrong = []
    for imported in imports(source):
        top = imported.partition(".")[0]
        if top in ("pos_client", "inventory_server", "schema"):
            if room_of(imported) not in allowed:
                wrong.append(imported)
        elif top in sys.stdlib_module_names:
            impure = room in PURE and module not in MAY_LOCK and top in CLOCKS_CHANCE_AND_IO
            opens_sockets = top in SOCKET_MODULES and room not in SOCKET_ROOMS
            if impure or opens_sockets:
                wrong.append(imported)
        elif top not in allowed:
            wrong.append(imported)
    return wrong


def test_a_module_imports_only_along_the_arrows() -> None:
    wrong = [(module, room_of(module), forbidden(module, source)) for module, source in SOURCES.items()]
    assert [f"{module} in {room} imports {found}" for module, room, found in wrong if found] == []


WRONG_ARROWS = [
    ("pos_client.till.sender", "import inventory_server.config"),
    ("pos_client.till.sender", "import click"),
    ("pos_client.till.client", "from pos_client.commands import console"),
    ("pos_client.protocol.wire", "import socket"),
    ("pos_client.files.cells", "from pos_client.till import outbox"),
    ("inventory_server.domain.inventory", "import time"),
    ("inventory_server.domain.inventory", "def f():\n    from random import random"),
    ("inventory_server.domain.completeness", "import socket"),
    ("inventory_server.domain.completeness", "import sqlalchemy"),
    ("inventory_server.domain.lineage", "import threading"),
    ("inventory_server.protocol.session", "import socket"),
    ("inventory_server.protocol.session", "from inventory_server.store.write.writer import Writer"),
    ("inventory_server.protocol.session", "from inventory_server import store"),
    ("inventory_server.jsonserver.server", "from inventory_server.domain import inventory"),
    ("inventory_server.jsonserver.server", "from inventory_server.store import open_store"),
    ("inventory_server.store.write.writer", "from inventory_server.jsonserver import ServerFactory"),
    ("inventory_server.store.write.writer", "from inventory_server.protocol.session import Session"),
    ("inventory_server.store.write.judge", "from inventory_server.store.query import stock"),
    ("inventory_server.store.ledger.head", "from inventory_server.store.database import base"),
    ("inventory_server.app", "import sqlalchemy"),
    ("inventory_server.app", "import socket"),
    ("inventory_server.commands.signals", "import socket"),
    ("inventory_server.supervisor", "from select import poll"),
    ("inventory_server.admin.control_socket", "import socket"),
    ("pos_client.till.sender_thread", "import socket"),
    ("pos_client.commands.stock_query", "from inventory_server import store"),
]


@pytest.mark.parametrize(("module", "source"), WRONG_ARROWS)
def test_a_wrong_arrow_is_found(module: str, source: str) -> None:
    assert forbidden(module, source)


def test_a_new_file_beside_the_rooms_takes_a_stand() -> None:
    with pytest.raises(AssertionError, match=r"inventory_server\.brand_new is in no room"):
        room_of("inventory_server.brand_new")


def test_every_door_leads_to_a_room_or_a_distribution() -> None:
    known = set(ROOMS) | {"msgspec", "psycopg", "python_calamine", "biip", "cryptography", *CLI, *SQL, *WEB}
    assert {target for targets in ROOMS.values() for target in targets} <= known
    assert set(ROOMS) == {room_of(module) for module in SOURCES}


def test_rooms_form_no_circle() -> None:
    TopologicalSorter({room: set(targets) & set(ROOMS) - {room} for room, targets in ROOMS.items()}).prepare()


def test_the_json_server_knows_no_inventory() -> None:
    """It is a library: of all that it imports, directly or not, nothing speaks of tills or stock."""
    reached, found = set(), {module for module in SOURCES if room_of(module) == "inventory_server.jsonserver"}
    while found:
        module = found.pop()
        reached.add(module)
        found |= set(imports(SOURCES[module])) & set(SOURCES) - reached
    beside = {module for module in reached if room_of(module) != "inventory_server.jsonserver"}
    assert beside == {f"pos_client.protocol.{name}" for name in ("address", "errors", "framing", "json_messages")}


def test_the_inventory_server_uses_the_public_names_of_the_json_server_alone() -> None:
    """It is built on what anybody can build on."""
    package = "inventory_server.jsonserver"
    used = {
        (module, str(node.module), alias.name)
        for module, source in SOURCES.items()
        if package in source and room_of(module) != package
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(package)
        for alias in node.names
    }
    assert {"inventory_server.app", "inventory_server.admin.control_socket"} <= {module for module, _, _ in used}
    assert [each for each in used if each[1] != package or each[2] not in jsonserver.__all__] == []


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: set(imports(source)) & set(SOURCES) - {module} for module, source in SOURCES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
