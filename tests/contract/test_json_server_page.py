"""Every line of code in the tables of docs/json-server.md does what its row says it replaces: it is run here."""

import inspect
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from inventory_server.jsonserver import EncodedReply, JsonHandler, RequestServer, ServerFactory, ThreadedServer
from inventory_server.jsonserver.server import JsonServer
from pos_client import JsonClient, request_once
from tests.contract.test_docs_tables import rows, section
from tests.support.waiting import HANG_SECONDS, wait_until

TABLES = ("jsocket", "yoton.clientserver", "socketserver", "The tutorial of 2009")
LINES = [
    pytest.param(table, row[1].strip("`"), id=f"{table}: {row[0]}")
    for table in TABLES
    for row in rows(section("json-server.md", table))
]
SERVES_HERE = ("server.run()", "server.serve_forever()")
PORT = re.compile(r":\d{4,5}\b")


class Orders(JsonHandler):
    """Echoes; the last one made is `self` in the tables."""

    def setup(self) -> None:
        made.append(self)

    def handle_message(self, message: Any) -> Any:
        return message


made: list[Orders] = []


def new_server(table: str) -> JsonServer:
    if table == "yoton.clientserver":
        return RequestServer("localhost:0", handle_request=str.upper)
    return ServerFactory(Orders, "localhost:0")


@contextmanager
def around(table: str) -> Iterator[dict[str, Any]]:
    """What the page says that its lines may use."""
    made.clear()
    with ExitStack() as stack:
        server = stack.enter_context(new_server(table))
        client = stack.enter_context(JsonClient(server.addresses[0]))
        if table != "yoton.clientserver":
            client.request({"first": 1})
        yield {
            **{each.__name__: each for each in (Orders, JsonHandler, ServerFactory, ThreadedServer, RequestServer)},
            **{each.__name__: each for each in (JsonClient, EncodedReply)},
            "request_once": request_once,
            "logging": logging,
            "message": {"a": 1},
            "server": server,
            "client": client,
            "address": server.addresses[0],
            "self": made[-1] if made else None,
        }


def run_statement(line: str, scope: dict[str, Any]) -> None:
    """Run a line; a server that it makes must be able to start."""
    last = line.rpartition("; ")[2]
    exec(line.removesuffix(last), scope)
    try:
        value = eval(last, scope)
    except SyntaxError:
        exec(last, scope)
        value = None
    if isinstance(value, JsonServer):
        with value:
            assert value.addresses


def run_method(line: str) -> None:
    """A method must override one of the library's, with its parameters, and run within its class."""
    scope: dict[str, Any] = {"EncodedReply": EncodedReply}
    exec(line, scope)
    [name] = set(re.findall(r"^def (\w+)", line))
    classes: list[type[Any]] = [JsonHandler, ServerFactory, RequestServer]
    bases = [each for each in classes if each.__dict__.get(name) or hasattr(each, name)]
    expected = [[*inspect.signature(getattr(each, name)).parameters] for each in bases]
    assert [*inspect.signature(scope[name]).parameters] in expected


def run_until_stopped(server: JsonServer, line: str) -> None:
    running = threading.Thread(target=exec, args=(line, {"server": server}))
    running.start()
    wait_until(lambda: len(server.addresses) > 0)
    server.stop()
    running.join(HANG_SECONDS)
    assert not running.is_alive()


@pytest.mark.parametrize(("table", "line"), LINES)
def test_a_line_of_the_tables_runs(table: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    line = PORT.sub(":0", line)
    level = logging.getLogger("tillwire.connection").level
    if line.startswith("def "):
        run_method(line)
    elif line in SERVES_HERE:
        run_until_stopped(new_server(table), line)
    else:
        with around(table) as scope:
            run_statement(line, scope)
            scope["client"].close()
            scope["server"].stop()
    logging.getLogger("tillwire.connection").setLevel(level)


def test_a_line_that_overrides_nothing_is_found() -> None:
    for wrong in ("def handle_massage(self, message): return message", "def handle_message(self): return 1"):
        with pytest.raises(AssertionError):
            run_method(wrong)
