"""The till on asyncio: the same client, awaited; the event loop is never blocked, and nothing is implemented twice."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest

from pos_client import HqRefused, OutboxError, PosClient, PostingResult
from pos_client.aio import AsyncPosClient
from tests.support.scripted_hq import ScriptedHq
from tests.support.tills import FAST, assert_each_once, sell
from tests.support.waiting import HANG_SECONDS

OPENS = Callable[..., PosClient]


def test_what_is_awaited_is_what_the_client_does(hq: ScriptedHq, tmp_path: Path) -> None:
    async def trade() -> None:
        client = PosClient(hq.address, terminal="T1", location="A", outbox=tmp_path / "till.db", retry_policy=FAST)
        async with AsyncPosClient(client) as till, asyncio.timeout(HANG_SECONDS):
            basket = till.open_basket()
            basket.add("milk")
            sales = [await till.sell([("milk", 2)], reference="R-1"), await till.sell_basket(basket, reference="R-2")]
            sales.append(await till.return_([("milk", 1)], returns=sales[0]))
            answers = await asyncio.gather(*(till.answer(sale) for sale in sales))
            assert [(answer.id, answer.status) for answer in answers] == [(sale.id, "posted") for sale in sales]
            assert (await till.answer(sales[0])).status == "posted"
            assert (await till.stock(["milk"])).items[0].on_hand == 3
            await till.wait(HANG_SECONDS)
            assert (await till.status()).pending == 0
            assert (await till.bye(timeout=HANG_SECONDS)).status == "balanced"
        with pytest.raises(OutboxError, match="closed"):
            client.sell([("milk", 1)])

    asyncio.run(trade())


def test_every_method_of_the_client_can_be_awaited() -> None:
    def public(kind: type) -> set[str]:
        return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}

    assert public(PosClient) <= public(AsyncPosClient)
    for name in public(PosClient) - {"close", "open_basket"}:
        assert inspect.signature(getattr(AsyncPosClient, name)) == inspect.signature(getattr(PosClient, name))


def test_a_sale_waits_behind_no_question_and_a_cancelled_one_is_stored(hq: ScriptedHq, open_till: OPENS) -> None:
    hq.stop()

    async def trade(till: AsyncPosClient) -> None:
        questions = [asyncio.create_task(till.stock(["milk"], timeout=HANG_SECONDS)) for _ in range(10)]
        sale = asyncio.create_task(till.sell([("milk", 1)]))
        await asyncio.sleep(0)  # the sale is on its way
        sale.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sale
        await till.sell([("milk", 1)])
        assert till.client.pending == 2
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await till.answer(await till.sell([("milk", 1)]))
        hq.start()
        assert [answer.items[0].on_hand for answer in await asyncio.gather(*questions)] == [3] * 10
        await till.wait(HANG_SECONDS)
        await till.close()

    asyncio.run(trade(AsyncPosClient(open_till())))
    assert len(hq.ledger) == 3


def test_who_awaits_an_answer_is_told_at_once_that_hq_refuses_the_till(hq: ScriptedHq, open_till: OPENS) -> None:
    hq.token = "right"

    async def trade(till: AsyncPosClient) -> None:
        sale = await till.sell([("milk", 1)])
        for _ in range(2):
            with pytest.raises(HqRefused, match="HQ refused: This token is not known"):
                await till.answer(sale)
        await till.close()

    asyncio.run(trade(AsyncPosClient(open_till(token="wrong"))))


def test_a_sale_that_could_not_be_stored_leaves_the_earlier_one_its_answer(hq: ScriptedHq, open_till: OPENS) -> None:
    """An id that is used for different goods by mistake: the handle and the callback of the first sale stay."""
    hq.stop()
    till, called = open_till(), SimpleQueue[PostingResult]()
    first = till.sell([("milk", 1)], on_result=called.put)
    with pytest.raises(OutboxError, match="already holds a different posting"):
        till.sell([("tea", 1)], id=first.id, on_result=lambda _: None)
    with pytest.raises(OutboxError, match="already holds a different posting"):
        till.sell([("tea", 1)], id=first.id)
    hq.start()
    assert first.wait(HANG_SECONDS).status == "posted"
    assert called.get(timeout=HANG_SECONDS).id == first.id
    assert_each_once(hq, [first])


def test_a_future_that_is_cancelled_is_forgotten(hq: ScriptedHq, open_till: OPENS) -> None:
    hq.stop()
    till = open_till()
    [sale] = sell(till)
    kept, cancelled = sale.future(), sale.future()
    assert cancelled.cancel()
    assert list(till._postings._futures.values()) == [[kept]]
    kept.cancel()
    assert till._postings._futures == {}
