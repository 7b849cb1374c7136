"""What HQ must answer to each posting, by the rules alone."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from tests.support.stockmodel import SIGNED, StockModel, known


class AnswerModel:
    """Remembers every id with its content; what it calls `posted` is in `stock`."""

    def __init__(self, skus_by_gtin: Mapping[str, str]) -> None:
        self.stock = StockModel()
        self._skus_by_gtin = skus_by_gtin
        self._posted: dict[UUID, bytes] = {}
        self._rejected: dict[UUID, bytes] = {}
        self._recorded_at = 0

    def post(self, id_: UUID, raw: bytes, own_location: str, by_till: bool, now: int) -> str:
        """The status that one posting must get; a posted one is held from now on."""
        if id_ in self._rejected:
            return "rejected" if self._rejected[id_] == raw else "conflict"
        if id_ in self._posted:
            return "duplicate" if self._posted[id_] == raw else "conflict"
        posting = known(id_, raw, own_location, by_till, self._skus_by_gtin)
        is_wrong = posting.voids is not None and (posting.voids == id_ or not self.stock.may_void(posting))
        is_wrong |= posting.kind not in SIGNED and any(quantity < 0 for _, quantity in posting.lines)
        is_elsewhere = by_till and posting.location != own_location
        if is_wrong or is_elsewhere or posting.other_location == posting.location:
            self._rejected[id_] = raw
            return "rejected"
        self._posted[id_] = raw
        self._recorded_at = max(now, self._recorded_at + 1)
        self.stock.enter(posting, self._recorded_at)
        return "posted"
