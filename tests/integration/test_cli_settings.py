"""The settings of `serve --config`: what is taken, and how what cannot be is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from inventory_server.commands.options import load_settings
from inventory_server.config import Settings
from pos_client.commands.console import CommandError


def test_settings_come_from_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "hq.toml"
    path.write_text("max_postings = 7\nforbid_negative = true\n")
    assert load_settings(path) == Settings(max_postings=7, forbid_negative=True)
    assert load_settings(None) == Settings()


LEAST = {field.name: field.metadata["least"] for field in fields(Settings) if "least" in field.metadata}
MOST = {field.name: field.metadata["most"] for field in fields(Settings) if "most" in field.metadata}


@pytest.mark.parametrize("values", [LEAST, MOST], ids=["least", "most"])
def test_every_setting_has_its_least_and_most_and_these_are_taken(values: dict[str, int], tmp_path: Path) -> None:
    path = tmp_path / "hq.toml"
    path.write_text("".join(f"{name} = {value}\n" for name, value in values.items()))
    assert load_settings(path) == Settings(**values)  # type: ignore[arg-type]
    switches = {"forbid_negative", "accept_weak_durability", "jsocket_frames"}
    assert {field.name for field in fields(Settings)} - values.keys() == switches | {"trusted_networks"}


def test_networks_are_taken_as_a_list(tmp_path: Path) -> None:
    path = tmp_path / "hq.toml"
    path.write_text('trusted_networks = ["10.1.0.0/16", "fd00::/8"]\n')
    assert load_settings(path).trusted_networks == ("10.1.0.0/16", "fd00::/8")


BAD_SETTINGS = [
    ("max_posting = 7", "has 'max_posting', which is not a setting; did you mean 'max_postings'?"),
    ("xyz = 7", "has 'xyz', which is not a setting; the settings are accept_backlog,"),
    ("keepalive_secnds = 7", "has 'keepalive_secnds', which is not a setting; did you mean 'keepalive_seconds'?"),
    ("max_postings = 'many'", "has max_postings = 'many': expected a whole number."),
    ("max_postings = true", "has max_postings = True: expected a whole number."),
    ("forbid_negative = 'no'", "has forbid_negative = 'no': expected true or false."),
    ("max_postings = -1", "has max_postings = -1: expected 1 to 1,000,000,000"),
    ("max_lines = 0", "has max_lines = 0: expected 100 to 1,000,000,000"),
    ("max_frame_bytes = 10", "has max_frame_bytes = 10: expected 65,536 to 67,108,864"),
    ("queue_postings_max = 0", "has queue_postings_max = 0: expected 1 to"),
    ("keepalive_seconds = 40_000", "has keepalive_seconds = 40000: expected 4 to 32,767"),
    ("idle_seconds = 0", "has idle_seconds = 0: expected 1 to"),
    ("idle_seconds = 0.5", "has idle_seconds = 0.5: expected 1 to"),
    ("idle_seconds = nan", "has idle_seconds = nan: expected 1 to"),
    ("trusted_networks = ['10.1.0.0/33']", r'expected a list of networks, such as \["10.0.0.0/8"\]\.'),
    ("trusted_networks = '10.1.0.0/16'", "expected a list of networks"),
    ("max_postings", "cannot be read"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_SETTINGS)
def test_settings_that_cannot_be_are_refused_with_the_reason(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "hq.toml"
    path.write_text(text)
    with pytest.raises(CommandError, match=reason):
        load_settings(path)
    with pytest.raises(CommandError, match="No such file"):
        load_settings(tmp_path / "none.toml")
