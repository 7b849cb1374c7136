"""`Details`: the optional arguments that every posting method takes, and the check that there are no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from pos_client.protocol.messages import PostingResult
from pos_client.protocol.nearest import nearest


class BasketDetails(TypedDict, total=False):
    """Optional arguments of a sale whose id is known; None is as good as leaving one out.

    `reference`: the number of the receipt or document. `occurred_at`: when it happened (default: now, with the local
    UTC offset). `location`: for a terminal with the role operator, the location to post for (default: the terminal's
    own). `ext`: any JSON object, stored unchanged. `on_result`: called with HQ's answer, in the sender's thread.
    """

    reference: str | None
    occurred_at: datetime | None
    location: str | None
    ext: dict[str, Any] | None
    on_result: Callable[[PostingResult], None] | None


class Details(BasketDetails, total=False):
    """Optional arguments of every posting; `id` is a UUID made when the basket was opened (default: a new one)."""

    id: UUID | None


def check_timeout(seconds: float) -> None:
    """Raise ValueError for a time-out that cannot be: it would look as if HQ had not answered."""
    if not seconds >= 0:
        raise ValueError(f"A timeout is a number of seconds, 0 or more, not {seconds!r}.")


def check_names(method: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError for the first name of `given` that is not `known`: a misspelt argument must not be dropped."""
    names = sorted(known)
    for name in given:
        if name not in names:
            near = nearest(name, names)
            hint = f"; did you mean {near!r}?" if near else f"; it takes {', '.join(names)}"
            raise TypeError(f"{method}() got an unexpected keyword argument {name!r}{hint}")
