"""One-time codes with which tills enrol themselves: made here, told to a person; HQ keeps their keys alone."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from inventory_server.clock import now_microseconds
from inventory_server.domain.changes import EnrolmentCode
from inventory_server.domain.limits import CODE_SECONDS
from pos_client.commands import console
from pos_client.protocol.enrolment import code_key, new_code
from pos_client.protocol.limits import CODE_DIGITS, CODE_SALT_BYTES
from pos_client.protocol.units import SECOND_MICROS

code_option = click.option(
    "--code", "with_code", is_flag=True, help="Instead of a token, print a one-time code for pos-client enroll."
)


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code for a person to type, and what HQ keeps of it."""

    text: str
    offered: EnrolmentCode


def offered_code(token_file: Path | None) -> NewCode:
    """A new code, valid from now; CommandError where a file for a token is named, too."""
    if token_file is not None:
        raise console.CommandError("--code writes no token here: leave out --token-file; the till keeps its token.")
    text, salt = new_code(secrets.token_bytes(CODE_DIGITS)), secrets.token_bytes(CODE_SALT_BYTES)
    until = now_microseconds() + CODE_SECONDS * SECOND_MICROS
    return NewCode(text, EnrolmentCode(salt, code_key(text, salt), until))


def say_code(as_json: bool, done: str, code: str, **facts: Any) -> None:
    """Print what was done, and how the till enrols."""
    minutes = CODE_SECONDS // 60
    sentence = f"{done}. Within {minutes} minutes, at the till: pos-client enroll HQ {code}"
    console.say_or_json(as_json, sentence, **facts, code=code, minutes=minutes)
