"""Who may import whom: the layout is the architecture, and this is its drawing."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A layer and its modules; a package stands for all below it, unless a more exact name is listed elsewhere.
LAYERS: dict[str, list[str]] = {
    "messages": [f"pos_client.{name}" for name in ("errors", "exact", "messages", "complaints", "wire")],
    "till": ["pos_client"],
    "till commands": ["pos_client.cli", "pos_client.commands"],
    "console": ["pos_client.commands.console"],
    "rules": [f"inventory_server.{name}" for name in ("inventory", "completeness", "lineage")],
    "config": ["inventory_server.config", "inventory_server.clock"],
    "work": ["inventory_server.domain.requests", "inventory_server.domain.product"],
    "peer": ["inventory_server.jsonserver.handler"],
    "session": ["inventory_server.protocol.session", "inventory_server.protocol.methods"],
    "server": [f"inventory_server.{name}" for name in ("jsonserver", "connection", "listener", "supervisor")],
    "resources": ["inventory_server.resources"],
    "description": ["inventory_server.protocol.describe.openrpc", "inventory_server.protocol.describe.examples"],
    "store": ["inventory_server.store"],
    "composition": [
        "inventory_server.app",
        "inventory_server.admin.control_socket",
        "inventory_server.admin.close_books",
    ],
    "migrations": ["schema.migrations"],
    "query command": [f"inventory_server.stock_{name}" for name in ("query", "command", "report")],
    "server commands": [f"inventory_server.{name}" for name in ("cli", "commands", "catalog_file", "demo")],
    "nothing": ["inventory_server"],
}

CLI = ["click", "rich"]
SQL = ["sqlalchemy", "alembic"]

# What a layer may import beside itself and the standard library: other layers, and distributions by name.
ARROWS: dict[str, list[str]] = {
    "messages": ["msgspec"],
    "till": ["messages", "msgspec"],
    "console": ["messages", "msgspec", *CLI],
    "till commands": ["till", "messages", "console", "msgspec", *CLI],
    "rules": ["messages", "msgspec"],
    "config": ["messages", "msgspec"],
    "work": ["messages", "msgspec"],
    "peer": [],
    "session": ["rules", "config", "work", "peer", "messages", "msgspec"],
    "server": ["config", "peer", "messages"],
    "resources": [],
    "description": ["rules", "messages", "till", "resources", "msgspec"],
    "store": ["rules", "config", "work", "resources", "messages", "msgspec", "psycopg", *SQL],
    "composition": [
        "store",
        "session",
        "server",
        "description",
        "resources",
        "config",
        "work",
        "peer",
        "messages",
        "msgspec",
    ],
    "migrations": ["store", *SQL],
    "query command": ["console", "till commands", "messages", "till", "msgspec", *CLI],
    "server commands": [
        "work",
        "query command",
        "composition",
        "server",
        "config",
        "store",
        "resources",
        "console",
        "messages",
        "till",
        "msgspec",
        *CLI,
    ],
    "nothing": [],
}

# Pure: what these do depends on what is passed in, and on nothing else.
PURE = {"rules", "work", "peer", "messages"}
SANS_IO = PURE | {"session"}
CLOCKS_CHANCE_AND_IO = {
    *("asyncio", "io", "multiprocessing", "os", "random", "secrets", "select", "selectors", "shutil", "signal"),
    *("socket", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib"),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path.read_text()
    for folder in ("pos_client", "inventory_server", "schema/migrations")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def layer_of(module: str) -> str:
    """The layer whose listed name is the longest one that holds `module`."""
    names = {name: layer for layer, listed in LAYERS.items() for name in listed}
    while module not in names:
        module = module.rpartition(".")[0]
    return names[module]


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
    """The imports of `source` for which no arrow is drawn."""
    layer = layer_of(module)
    allowed = {layer, *ARROWS[layer]}
    wrong = []
    for imported in imports(source):
        top = imported.partition(".")[0]
        if top in ("pos_client", "inventory_server", "schema"):
            if layer_of(imported) not in allowed:
                wrong.append(imported)
        elif top in sys.stdlib_module_names:
            if layer in SANS_IO and top in CLOCKS_CHANCE_AND_IO:
                wrong.append(imported)
        elif top not in allowed:
            wrong.append(imported)
    return wrong


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_a_module_imports_only_along_the_arrows(module: str) -> None:
    assert forbidden(module, SOURCES[module]) == [], f"{module} is of the layer {layer_of(module)!r}"


WRONG_ARROWS = [
    ("pos_client.till.sender", "import inventory_server.config"),
    ("pos_client.till.sender", "import click"),
    ("pos_client.till.client", "from pos_client import console"),
    ("inventory_server.domain.inventory", "import time"),
    ("inventory_server.domain.inventory", "def f():\n    from random import random"),
    ("inventory_server.domain.completeness", "import socket"),
    ("inventory_server.domain.completeness", "import sqlalchemy"),
    ("inventory_server.domain.lineage", "import threading"),
    ("inventory_server.protocol.session", "import socket"),
    ("inventory_server.protocol.session", "from inventory_server.store.write.writer import Writer"),
    ("inventory_server.protocol.session", "from inventory_server import store"),
    ("inventory_server.jsonserver.server", "from inventory_server import inventory"),
    ("inventory_server.jsonserver.server", "from inventory_server.store import engine"),
    ("inventory_server.store.write.writer", "from inventory_server.jsonserver.server import JsonServer"),
    ("inventory_server.store.write.writer", "from inventory_server.protocol.session import Session"),
    ("inventory_server.app", "import sqlalchemy"),
    ("pos_client.commands.stock_query", "from inventory_server import store"),
    ("inventory_server.brand_new", "import pos_client.protocol.messages"),
]


@pytest.mark.parametrize(("module", "source"), WRONG_ARROWS)
def test_a_wrong_arrow_is_found(module: str, source: str) -> None:
    assert forbidden(module, source)


def test_every_arrow_leads_to_a_layer_or_a_distribution() -> None:
    known = set(LAYERS) | {"msgspec", "psycopg", *CLI, *SQL}
    assert set(ARROWS) == set(LAYERS)
    assert {target for targets in ARROWS.values() for target in targets} <= known


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {module: set(imports(source)) & set(SOURCES) - {module} for module, source in SOURCES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
