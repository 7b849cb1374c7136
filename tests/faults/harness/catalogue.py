"""All kinds of faults."""

from __future__ import annotations

from tests.faults.harness import kinds_identity, kinds_network, kinds_process, kinds_storage

KINDS = {
    kind.name: kind
    for kind in (*kinds_process.KINDS, *kinds_network.KINDS, *kinds_identity.KINDS, *kinds_storage.KINDS)
}
