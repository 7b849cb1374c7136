"""Tillwire as people get it: the wheel in an environment of its own, and someone who types commands there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.waiting import HANG_SECONDS, wait_until

_SERVING = re.compile(r"^inventory-server: serving on (\S+) from ", re.M)


CATALOGUE = """sku,name,unit,barcode,reorder_point,supplier,location
TEA-100,Green tea 100 g,bag,4006381333931,20,Teahouse,
MILK-1L,Milk 1 l,piece,,6,Dairy,
COFFEE-1KG,Espresso beans 1 kg,bag,,3,Roastery,south
"""
"""A catalogue to begin with."""


def columns(rows: Iterable[Mapping[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Some fields of each row, in order."""
    return sorted(tuple(row[name] for name in names) for row in rows)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; text output."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=HANG_SECONDS)


def succeed(*command: str | Path, cwd: Path) -> str:
    """What a program writes to stdout that has to exit with 0."""
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_wheel(root: Path, folder: Path) -> Path:
    """The wheel of the checkout `root`, built into `folder`."""
    succeed(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, root, cwd=folder)
    (built,) = folder.glob("tillwire-*.whl")
    return built


def install(wheel: Path, home: Path, extra: str = "") -> Path:
    """The folder of commands of a new environment in `home` that holds the wheel with one extra and nothing else."""
    succeed(sys.executable, "-m", "venv", home, cwd=home)
    named = f"{wheel}[{extra}]" if extra else f"{wheel}"
    succeed(home / "bin" / "python", "-m", "pip", "install", "--quiet", named, cwd=home)
    return home / "bin"


class Person:
    """Someone at a prompt in `folder`, who has only the programs in `programs`; `settings` are exported there."""

    def __init__(self, programs: Path, folder: Path, **settings: str) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TILLWIRE_", "PYTHON"))}
        self._environment = kept | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"} | settings

    def types(self, line: str, code: int = 0) -> str:
        """What the commands in `line` say, errors included; they have to exit with `code`."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=HANG_SECONDS,
        )
        assert done.returncode == code, f"{line}: exit code {done.returncode}, not {code}\n{done.stdout}"
        return done.stdout

    def asks(self, line: str, code: int = 0) -> Any:
        """The JSON that a command prints; decimals are text, as on the wire."""
        return json.loads(self.types(f"{line} --json 2> complaints.txt", code), parse_float=str)

    def writes(self, name: str, text: str) -> None:
        """Save a file in the folder."""
        (self.folder / name).write_text(text)

    @property
    def tokens(self) -> dict[str, str]:
        """The tokens that `terminal import` wrote to tokens.txt, by terminal."""
        return dict(line.split() for line in (self.folder / "tokens.txt").read_text().splitlines())

    @contextmanager
    def keeps_running(self, line: str, until: str) -> Iterator[re.Match[str]]:
        """Leave a command running meanwhile, from when it has said what `until` matches; end it by Ctrl-C."""
        said = self.folder / "running.txt"
        with said.open("w") as output:
            running = subprocess.Popen(
                ["bash", "-c", f"exec {line}"], cwd=self.folder, env=self._environment, stdout=output, stderr=output
            )
        try:
            found: list[re.Match[str]] = []

            def has_said() -> bool:
                assert running.poll() is None, said.read_text()
                found.extend(re.finditer(until, said.read_text(), re.M))
                return bool(found)

            wait_until(has_said, f"{line} to say {until}")
            yield found[0]
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(HANG_SECONDS)

    @contextmanager
    def serves(self, *options: str) -> Iterator[str]:
        """Run headquarters in the folder meanwhile; yields its address."""
        line = " ".join(("inventory-server serve --listen 127.0.0.1:0", *options))
        with self.keeps_running(line, _SERVING.pattern) as serving:
            yield serving[1]
