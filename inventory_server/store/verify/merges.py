"""Verification of merges: those that are stored are those that were posted, and could be when they were."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, select

from inventory_server.domain.merge import Merge, Merges, refusal, standing
from inventory_server.store.ledger import tables as t
from inventory_server.store.ledger.head import Head
from inventory_server.store.ledger.merges import merges_of
from pos_client.protocol.errors import BodyError
from pos_client.protocol.wire import decode_body


class MergeCheck:
    """Follows the merges that were posted, from the bodies; archived ones are taken as they are stored."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._stored = merges_of(connection, head)
        self._posted = [merge for merge in self._stored if merge.position <= head.archived_position]
        self._archived = head.archived_position

    def wrong(self, row: Any) -> Iterator[str]:
        """Check that a posting, if it is a merge, could be one where it stands in the ledger."""
        if row.type != "merge":
            return
        try:
            body = decode_body(row.body)
        except BodyError:
            return  # reported with the body
        ended, into = str(body.merge), str(body.into)
        if (reason := refusal(standing(self._posted, known_at=row.position), ended, into)) is not None:
            yield f"merges what cannot be merged: {reason}"
        voided = None if row.void_position is None else max(row.void_position, row.position)
        self._posted.append(Merge(row.position, ended, into, row.effective_at, voided))

    def unexplained(self) -> Iterator[str]:
        """Where the stored merges are not those that were posted."""
        posted = {merge.position: merge for merge in self._posted}
        stored = {merge.position: merge for merge in self._stored}
        for position in sorted(posted.keys() | stored.keys()):
            if posted.get(position) != stored.get(position):
                is_, due = stored.get(position), posted.get(position)
                yield f"position {position}: the merge is {is_}, the ledger says {due}"
        counted = self._connection.execute(select(t.ledger.c.merges)).scalar()
        if counted != len(posted):
            yield f"the ledger has {len(posted)} merges, HQ knows of {counted}"

    @cached_property
    def standing(self) -> Merges:
        """Those that stand, once all postings have been followed."""
        return standing(self._posted)

    @cached_property
    def ever(self) -> Collection[str]:
        """All SKUs that were ever merged, or into which others were."""
        return {sku for merge in self._posted for sku in (merge.ended, merge.into)}
