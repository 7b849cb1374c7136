"""The completion scripts for shells; click asks bash for its version."""

import pytest

from tests.support.commands import Shell


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["inventory-server", "pos-client"])
def test_the_completion_script_of_a_shell_is_printed(
    program: str, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Shell(monkeypatch, capsys)(program, "completion", kind)
    assert done.code == 0
    completed = ["inventory-server", "stock-query"] if program == "inventory-server" else [program]
    assert all(f"_{name.replace('-', '_').upper()}_COMPLETE" in done.out for name in completed)
