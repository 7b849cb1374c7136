"""Enrolment by a one-time code: its messages, and how each side proves that it knows the code without saying it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Literal

from msgspec import Meta

from pos_client.protocol.base import Message, StrictMessage
from pos_client.protocol.fields import Digest, Role
from pos_client.protocol.limits import (
    CODE_DIGITS,
    CODE_KEY_BYTES,
    CODE_KEY_MEMORY_BYTES_MAX,
    CODE_SCRYPT_BLOCKS,
    CODE_SCRYPT_ROUNDS,
    CODES_MAX,
)

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_MISREAD = str.maketrans("018", "OIB", " -")
Salt = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]


class EnrolBeginParams(StrictMessage, frozen=True):
    """A till wants to enrol with a code, which it keeps to itself; `nonce` is random."""

    nonce: Digest


class EnrolmentOffer(Message, frozen=True):
    """HQ's proof that it knows the code of one terminal that waits to be enrolled."""

    salt: Salt
    proof: Digest


class EnrolBeginResult(Message, frozen=True):
    """HQ proves itself, for each code that is valid at the moment. `authority` (PEM) is what the till is to trust."""

    nonce: Digest
    offers: Annotated[list[EnrolmentOffer], Meta(max_length=CODES_MAX)]
    authority: str


class EnrolFinishParams(StrictMessage, frozen=True):
    """The till has recognised the offer with this `salt`, and proves that it knows the code, too."""

    salt: Salt
    proof: Digest


class EnrolFinishResult(Message, frozen=True):
    """Who the till is from now on. HQ keeps only a hash of the token."""

    terminal: str
    role: Role
    location: str
    token: str


def new_code(random_bytes: bytes) -> str:
    """The code of `CODE_DIGITS` random bytes: as many base32 characters, with 5 bits each."""
    return "".join(_ALPHABET[byte % 32] for byte in random_bytes[:CODE_DIGITS])


def read_code(text: str) -> str | None:
    """The code that a person has typed, or None: case, spaces and dashes do not count, and 0, 1, 8 mean O, I, B."""
    code = text.upper().translate(_MISREAD)
    return code if len(code) == CODE_DIGITS and set(code) <= set(_ALPHABET) else None


def code_key(code: str, salt: bytes) -> bytes:
    """The key that a code stands for: slow to compute, so that a proof does not give the code away."""
    return hashlib.scrypt(
        code.encode(),
        salt=salt,
        n=CODE_SCRYPT_ROUNDS,
        r=CODE_SCRYPT_BLOCKS,
        p=1,
        maxmem=CODE_KEY_MEMORY_BYTES_MAX,
        dklen=CODE_KEY_BYTES,
    )


def transcript(till_nonce: str, hq_nonce: str, certificate: bytes) -> bytes:
    """What both sides prove about: the nonces (hex), and the SHA-256 of the certificate that HQ has shown."""
    return bytes.fromhex(till_nonce) + bytes.fromhex(hq_nonce) + certificate


def proof(key: bytes, side: Literal["hq", "till"], said: bytes) -> str:
    """The proof of one side that it knows the key of the code, for the transcript `said`."""
    return hmac.new(key, f"tillwire enrolment 1 {side}".encode() + b"\0" + said, hashlib.sha256).hexdigest()


def is_proof(claimed: str, key: bytes, side: Literal["hq", "till"], said: bytes) -> bool:
    """Whether `claimed` is that proof; it takes as long for a wrong one."""
    return hmac.compare_digest(claimed, proof(key, side, said))
