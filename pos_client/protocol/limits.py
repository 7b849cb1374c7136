"""The limits of the protocol that tills and HQ share, each with its unit and reason.

A server may be configured to accept more or less; `hello` tells the till (`Limits`). Number ranges are in `units.py`,
the longest line is in `framing.py`.
"""

from __future__ import annotations

MAX_POSTINGS = 500
"""Most postings in one `post`: unless they are heavy, they share a commit."""
MAX_LINES = 1_000
"""Most lines in one posting: far more than a customer can carry, and one posting cannot stall a commit."""
MAX_DEPTH = 32
"""Deepest nesting of arrays and objects in a frame, so that no JSON reader runs out of stack."""
BODY_DEPTH = MAX_DEPTH - 4
"""Deepest nesting in a posting body: request, params, postings and item surround it."""
NAME_LENGTH_MAX = 64
"""Longest terminal name, location or SKU, in characters: fits a column, a label and a log line."""
TEXT_LENGTH_MAX = 256
"""Longest reference, reason or application name, in characters."""
REQUEST_ID_LENGTH_MAX = 128
"""Longest request id, in characters: the server holds it until it has answered."""
ENVELOPE_BYTES = 512
"""What a `post` frame holds besides its postings, rounded up: method, parent, id, punctuation."""
ITEM_OVERHEAD_BYTES = 176
"""What a frame holds for each posting besides its body, rounded up: id, seq, boot, tick, keys, punctuation."""
VALUE_LENGTH_MAX = 40
"""Longest value shown in an error message, in characters: enough to recognise it, short enough for one line."""
METHOD_LENGTH_MAX = 64
"""Longest method name shown in an error message or a log line, in characters: no method of the protocol has more."""
NEEDLE_BYTES = 64
"""Bytes of a value that are searched for in a frame: preparing a search for more takes longer than searching."""
POSTINGS_COUNT_MAX = 10**9
"""Most postings that a till may report as pending or parked: the sum over a chain's tills fits 64 bits."""
TICK_MS_MAX = 10**13
"""Highest time of a tick clock, in milliseconds: 317 years, so that no instant computed from it leaves the calendar."""

# ---------------------------------------------------------------------------------- enrolment by code

CODE_DIGITS = 10
"""Characters of an enrolment code: 50 bits, which nobody guesses in 5 tries, and a person can type."""
CODES_MAX = 16
"""Codes that wait at a time: a till computes the key of each to find its own, 50 ms on a fast machine, and HQ waits
some seconds for a stranger."""
CODE_SCRYPT_ROUNDS = 1 << 14
"""N of scrypt: with its blocks 50 ms and 16 MiB a guess, for whoever tries codes against a proof that was recorded."""
CODE_SCRYPT_BLOCKS = 8
"""r of scrypt: the size of a block in 128 bytes."""
CODE_KEY_MEMORY_BYTES_MAX = 64 << 20
"""Most memory that scrypt may take, in bytes: four times what it needs."""
CODE_KEY_BYTES = 32
"""Bytes of the key of a code: those of an HMAC-SHA-256."""
CODE_SALT_BYTES = 16
"""Random bytes that make the keys of equal codes differ, so that no table of keys can be made ahead."""
NONCE_BYTES = 32
"""Random bytes of each side, so that no proof is ever good for a second time."""
ENROL_SECONDS = 30.0
"""How long enrolling may take in all."""
