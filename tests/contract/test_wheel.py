"""The wheel in a clean environment: what a POS developer gets from `pip install tillwire`."""

import json
import socket
import zipfile
from pathlib import Path

import pytest

from tests.contract.test_arrows import SOURCES, room_of
from tests.support.installed import install, run, succeed
from tests.support.snippets import blocks

# One group: the wheel is built and installed once.
pytestmark = pytest.mark.long

LIBRARY = sorted(
    name
    for name in SOURCES
    if (name.startswith("pos_client") and room_of(name) not in ("pos_client.commands", "pos_client.cli"))
    or room_of(name) == "inventory_server.jsonserver"
)

FOREIGN_MODULES = f"""
import importlib, json, sys
at_start = set(sys.modules)
for name in {LIBRARY!r}:
    importlib.import_module(name)
files = {{name: getattr(sys.modules[name], "__file__", None) or "" for name in set(sys.modules) - at_start}}
installed = {{name.partition(".")[0] for name, file in files.items() if "site-packages" in file}}
print(json.dumps(sorted(installed - {{"pos_client", "inventory_server"}})))
"""


@pytest.fixture(scope="module")
def lean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that holds the wheel without extras and nothing else."""
    return install(wheel, tmp_path_factory.mktemp("lean"))


def test_the_till_and_the_json_server_need_nothing_but_msgspec(lean: Path, tmp_path: Path) -> None:
    assert json.loads(succeed(lean / "python", "-I", "-c", FOREIGN_MODULES, cwd=tmp_path)) == ["msgspec"]


def test_the_json_server_of_the_readme_runs_without_an_extra(lean: Path, tmp_path: Path, root: Path) -> None:
    readme = (root / "README.md").read_text()
    [block] = [each for each in blocks("README.md", readme) if "JsonHandler" in each.text]
    program = block.text.replace("29877", str(free_port()))
    assert succeed(lean / "python", "-I", "-c", program, cwd=tmp_path) == block.output


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def test_nothing_but_msgspec_is_installed(lean: Path, tmp_path: Path) -> None:
    listed = json.loads(succeed(lean / "python", "-m", "pip", "list", "--format=json", cwd=tmp_path))
    assert {package["name"] for package in listed} - {"pip", "setuptools"} == {"msgspec", "tillwire"}


@pytest.mark.parametrize("program", ["pos-client", "inventory-server", "stock-query"])
def test_a_command_without_its_extra_says_what_to_install(lean: Path, tmp_path: Path, program: str) -> None:
    refused = run(lean / program, "--help", cwd=tmp_path)
    extra = "server" if program == "inventory-server" else "cli"
    assert refused.returncode != 0
    assert f"pip install 'tillwire[{extra}]'" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_wheel_carries_the_schema_and_its_types(wheel: Path, root: Path) -> None:
    carried = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"inventory_server/_schema/{path.relative_to(root / 'schema')}"
        for path in (root / "schema").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "inventory_server/_schema/openrpc.json" in expected
    assert expected | {"pos_client/py.typed", "inventory_server/py.typed"} <= carried


def test_the_installed_program_finds_its_schema(lean: Path, tmp_path: Path, root: Path) -> None:
    ask = "from inventory_server.resources import schema_path; print(schema_path('openrpc.json').read_text(), end='')"
    assert succeed(lean / "python", "-I", "-c", ask, cwd=tmp_path) == (root / "schema/openrpc.json").read_text()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pos_client", "inventory_server"}
