"""`AsyncPosClient`: `PosClient` for programs that run on asyncio. It wraps the client and implements nothing anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack
from uuid import UUID

from pos_client.protocol.messages import PostingResult
from pos_client.till.basket import Basket
from pos_client.till.client import PosClient
from pos_client.till.policy import ASYNC_QUESTIONS_MAX, LINGER_SECONDS
from pos_client.till.posting import Posting
from pos_client.till.posting_details import BasketDetails

P = ParamSpec("P")
R = TypeVar("R")


def _stores(
    method: Callable[Concatenate[PosClient, P], R],
) -> Callable[Concatenate[AsyncPosClient, P], Coroutine[Any, Any, R]]:
    """`method`, which uses only the outbox, to be awaited."""

    @wraps(method)
    async def run(self: AsyncPosClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._store(partial(method, self.client, *args, **kwargs))

    return run


def _asks(
    method: Callable[Concatenate[PosClient, P], R],
) -> Callable[Concatenate[AsyncPosClient, P], Coroutine[Any, Any, R]]:
    """`method`, which waits for HQ, to be awaited."""

    @wraps(method)
    async def run(self: AsyncPosClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        call = partial(method, self.client, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._asking, call)

    return run


class AsyncPosClient:
    """A `PosClient` whose methods are awaited: the same names, arguments, results and errors.

    Make the client as ever and wrap it: `AsyncPosClient(PosClient("hq", terminal="north-1"))`; making it opens the
    outbox file. No method blocks the event loop: postings run in a thread of their own, so that none waits behind a
    question to HQ. A posting whose task is cancelled is stored all the same. `on_result` is called in the sender's
    thread as ever. `async with` closes the client as `with` does.
    """

    def __init__(self, client: PosClient) -> None:
        self.client = client
        self._storing = ThreadPoolExecutor(1, "tillwire-store")  # the outbox takes one at a time in any case
        self._asking = ThreadPoolExecutor(ASYNC_QUESTIONS_MAX, "tillwire-ask")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(LINGER_SECONDS if kind is None else 0)

    async def close(self, linger_seconds: float = 0) -> None:
        """Close the client as `PosClient.close` does, and end the threads."""
        await self._store(partial(self.client.close, linger_seconds))
        self._storing.shutdown(wait=False)
        self._asking.shutdown(wait=False)

    sell = _stores(PosClient.sell)
    return_ = _stores(PosClient.return_)
    receive = _stores(PosClient.receive)
    adjust = _stores(PosClient.adjust)
    count = _stores(PosClient.count)
    transfer_out = _stores(PosClient.transfer_out)
    transfer_in = _stores(PosClient.transfer_in)
    close_transfer = _stores(PosClient.close_transfer)
    reserve = _stores(PosClient.reserve)
    release = _stores(PosClient.release)
    void = _stores(PosClient.void)
    merge = _stores(PosClient.merge)
    post = _stores(PosClient.post)
    status = _stores(PosClient.status)
    watch = _stores(PosClient.watch)

    stock = _asks(PosClient.stock)
    history = _asks(PosClient.history)
    posting = _asks(PosClient.posting)
    postings = _asks(PosClient.postings)
    counts = _asks(PosClient.counts)
    transfers = _asks(PosClient.transfers)
    reservations = _asks(PosClient.reservations)
    exceptions = _asks(PosClient.exceptions)
    changes = _asks(PosClient.changes)
    sales = _asks(PosClient.sales)
    wait = _asks(PosClient.wait)
    bye = _asks(PosClient.bye)

    def open_basket(self) -> Basket:
        """Open a basket; `sell_basket` records it."""
        return self.client.open_basket()

    async def sell_basket(
        self, basket: Basket, *, reservation: UUID | Posting | None = None, **details: Unpack[BasketDetails]
    ) -> Posting:
        """Record the sale of `basket`, as `Basket.sell` does."""
        return await self._store(partial(basket.sell, reservation=reservation, **details))

    async def answer(self, posting: Posting) -> PostingResult:
        """HQ's answer to a posting; HqRefused at once if HQ refuses the till. No thread waits meanwhile.

        Limit the wait with `asyncio.timeout`: the posting stays pending.
        """
        return await asyncio.wrap_future(posting.future())

    async def _store(self, call: Callable[[], R]) -> R:
        """Run `call` to its end even if the task that awaits it is cancelled."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._storing, call))
