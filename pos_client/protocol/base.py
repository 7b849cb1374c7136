"""The bases of all messages."""

from __future__ import annotations

from msgspec import Struct


class Message(Struct, frozen=True, omit_defaults=True):
    """Base of all messages: absent fields are omitted; an older till ignores fields that a newer server adds."""


class StrictMessage(Message, frozen=True, forbid_unknown_fields=True):
    """Base of what a client sends: unknown fields are errors, so that a typo never becomes a silent default."""
