"""What the audit trail records of a request."""

from __future__ import annotations

from typing import Any

from inventory_server.domain.roles import ActorRequest

SECRETS = frozenset(("token", "code", "salt", "proof", "said", "source", "other", "key", "password", "verified"))
"""Fields that may hold a token, a code or a password: none of them reaches the audit trail. A test has every text field
of an audited request classified."""


def audited_arguments(request: ActorRequest) -> dict[str, Any]:
    """What the audit trail records of a request: its fields without secrets, and lists as their length."""
    kept = {}
    for name in request.__struct_fields__:
        value = getattr(request, name)
        if name != "actor" and name not in SECRETS:
            kept[name] = len(value) if isinstance(value, list) else value
    return kept
