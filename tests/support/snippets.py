"""Runs the code blocks of a page, in order, in a folder of their own, beside a development server.

How a page is written for it stands in CONTRIBUTING.md.
"""

import doctest
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.ledgers import new_ledger
from tests.support.postgres import Cluster, binaries

BIN = Path(sys.executable).parent
SHELLS = ("sh", "bash", "shell", "console")
RUNNABLE = ("python", *SHELLS)
SERVER_PORT = "29876"
FREE_PORTS = ("29877", "29878")
BLOCK_SECONDS = 90
POSTGRES = "postgresql+psycopg:///"
"""A page that names a database in this way finds an empty PostgreSQL of its own, and its programs."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S)
_MARK = re.compile(r"<!-- (?P<what>not run|file|runs on after): *(?P<value>\S[^\n]*?) *-->\s*\Z")

# Python blocks of a page continue one another, so one interpreter reads them all.
_INTERPRETER = """
import contextlib, io, json, sys, traceback
scope = {"__name__": "__main__"}
for line in sys.stdin:
    code, printed = json.loads(line), io.StringIO()
    failure = None
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(code["text"], code["name"], "exec"), scope)
        except BaseException:
            failure = traceback.format_exc()
    print(json.dumps({"printed": printed.getvalue(), "failure": failure}), flush=True)
"""

# Where a machine has no nc: what every nc does, and no more.
_NC = f"""#!{sys.executable}
import socket, sys
host, port = sys.argv[-2:]
with socket.create_connection((host, int(port)), {BLOCK_SECONDS}) as peer:
    peer.sendall(sys.stdin.buffer.read())
    while data := peer.recv(65536):
        sys.stdout.buffer.write(data)
"""


class SnippetFailed(AssertionError):
    """A block of a page does not do what the page says."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it stands, what it holds, what is to be done with it."""

    page: str
    line: int
    language: str
    text: str
    not_run: str | None
    file: str | None
    ready: str | None
    output: str | None

    @property
    def runs(self) -> bool:
        return self.language in RUNNABLE and self.not_run is None and self.file is None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str, text: str) -> list[Block]:
    """The fenced blocks of `text`; one of language `output` belongs to the block before it."""
    found: list[Block] = []
    for fence in _FENCE.finditer(text):
        indent, language = fence["indent"], fence["language"]
        content = re.sub(f"^{indent}", "", fence["text"], flags=re.M)
        if language == "output":
            found[-1] = replace(found[-1], output=content)
            continue
        mark = _MARK.search(text, 0, fence.start())
        marked = {mark["what"]: mark["value"]} if mark else {}
        line = text.count("\n", 0, fence.start()) + 1
        why, file, ready = (marked.get(mark) for mark in ("not run", "file", "runs on after"))
        found.append(Block(page, line, language, content, why, file, ready, None))
    return found


def run_page(page: str, text: str, folder: Path, root: Path) -> int:
    """Run all runnable blocks of `text` in `folder`; how many those were. SnippetFailed names the first that fails."""
    ports = dict(zip((SERVER_PORT, *FREE_PORTS), map(str, _free_ports(1 + len(FREE_PORTS))), strict=True))
    text = re.sub(rf"\bhq([: ]){SERVER_PORT}\b", rf"localhost\g<1>{SERVER_PORT}", text)
    serving = {block.ready is None for block in blocks(page, text) if block.runs and SERVER_PORT in block.text}
    for written, port in ports.items():
        text = re.sub(rf"\b{written}\b", port, text)
    environment = _environment(folder)
    with ExitStack() as databases:
        if POSTGRES in text:
            environment |= databases.enter_context(_postgres(environment["PATH"]))
        return _run_blocks(page, text, folder, root, environment, ports[SERVER_PORT], serving == {True})


def _run_blocks(
    page: str, text: str, folder: Path, root: Path, environment: dict[str, str], port: str, needs_server: bool
) -> int:
    for shared in ("examples", "schema"):
        if (root / shared).is_dir():
            (folder / shared).symlink_to(root / shared)
    ran = 0
    with ExitStack() as stack:
        if needs_server:  # a page that starts a server itself needs no other
            stack.enter_context(_server(port, folder, environment))
        interpreter = stack.enter_context(_python(folder, environment))
        for block in blocks(page, text):
            if block.file is not None:
                (folder / block.file).write_text(block.text)
            elif block.runs and block.ready is not None:
                stack.enter_context(_running_on(block, folder, environment))
                ran += 1
            elif block.runs:
                _run(block, interpreter, folder, environment)
                ran += 1
    return ran


def _run(block: Block, interpreter: "subprocess.Popen[str]", folder: Path, environment: dict[str, str]) -> None:
    if block.language == "python":
        expect(block, block.output, _run_python(block, interpreter))
    elif block.language == "console":
        for command, wanted in commands(block.text):
            expect(block, wanted, _run_shell(block, command, folder, environment))
    else:
        expect(block, block.output, _run_shell(block, block.text, folder, environment))


def commands(session: str) -> Iterator[tuple[str, str | None]]:
    """The commands of a console session (`$ `, continued by `> `), each with the output shown below it, if any."""
    for part in re.split(r"^\$ ", session, flags=re.M)[1:]:
        lines = part.splitlines(keepends=True)
        taken = 1
        while taken < len(lines) and lines[taken].startswith("> "):
            taken += 1
        command = "".join([lines[0], *(line.removeprefix("> ") for line in lines[1:taken])])
        yield command, "".join(lines[taken:]) or None


def expect(block: Block, wanted: str | None, got: str) -> None:
    """SnippetFailed where output is shown and differs; `...` stands for anything, white space for any white space."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if wanted is not None and not doctest.OutputChecker().check_output(wanted, got, flags):
        raise SnippetFailed(f"{block.place} shows\n{wanted}\nbut prints\n{got}")


def _run_python(block: Block, interpreter: "subprocess.Popen[str]") -> str:
    assert interpreter.stdin is not None
    assert interpreter.stdout is not None
    padded = "\n" * block.line + block.text  # so that a traceback names the line of the page
    interpreter.stdin.write(json.dumps({"text": padded, "name": block.page}) + "\n")
    interpreter.stdin.flush()
    answer = interpreter.stdout.readline()
    if not answer:
        raise SnippetFailed(f"{block.place} ended the interpreter")
    result = json.loads(answer)
    if result["failure"]:
        raise SnippetFailed(f"{block.place} failed\n{result['failure']}")
    return str(result["printed"])


def _run_shell(block: Block, command: str, folder: Path, environment: dict[str, str]) -> str:
    """What `command` prints; in a console that is what a person sees, complaints included."""
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if block.language == "console" else subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, complaints = shell.communicate(timeout=BLOCK_SECONDS)
    finally:
        _end_session(shell)
    if shell.returncode:
        shown = printed + (complaints or "")
        raise SnippetFailed(f"{block.place} exited with {shell.returncode}\n{command}\n{shown}")
    return printed


@contextmanager
def _running_on(block: Block, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Let the commands of `block` run until the page ends; it goes on once they have said what is expected."""
    said = block.ready or ""
    log = folder / f".running-{block.line}.log"
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        ) as shell,
    ):
        try:
            _wait_until(lambda: said in log.read_text(), shell, f"{block.place} does not run on", log)
            expect(block, block.output, log.read_text())
            yield
        finally:
            _end_session(shell)


def _end_session(shell: "subprocess.Popen[Any]") -> None:
    """End what a block has started and left running."""
    with suppress(ProcessLookupError):  # it has left nothing
        os.killpg(shell.pid, signal.SIGTERM)


def _environment(folder: Path) -> dict[str, str]:
    spare = folder / ".spare"
    spare.mkdir()
    (spare / "nc").write_text(_NC)
    (spare / "nc").chmod(0o755)
    path = f"{BIN}:{os.environ['PATH']}:{spare}"
    plain = {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    return os.environ | plain | {"HOME": str(folder), "PATH": path}


@contextmanager
def _postgres(path: str) -> Iterator[dict[str, str]]:
    programs = binaries()
    assert programs is not None
    with Cluster(durable=True) as cluster:
        yield {"PGHOST": str(cluster.folder), "PGUSER": "postgres", "PATH": f"{path}:{programs}"}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def _python(folder: Path, environment: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-c", _INTERPRETER]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, text=True, stdin=pipe, stdout=pipe) as interpreter:
        try:
            yield interpreter
        finally:
            interpreter.kill()


@contextmanager
def _server(port: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    program = str(BIN / "inventory-server")
    database = "sqlite:///hq.db"
    new_ledger(folder / "hq.db")
    command = [program, "serve", "--dev", "--listen", f"127.0.0.1:{port}", "--db", database]
    log = folder / ".server.log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output) as server,
    ):
        try:
            _wait_until(lambda: "serving on" in log.read_text(), server, "the development server does not serve", log)
            yield
        finally:
            server.terminate()


def _wait_until(ready: Callable[[], bool], process: "subprocess.Popen[Any]", complaint: str, log: Path) -> None:
    for _ in range(BLOCK_SECONDS * 20):
        if ready():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SnippetFailed(f"{complaint}:\n{log.read_text()}")
