"""The pages in a real browser: nothing overflows, no script fails, figures follow the feed and say when they do not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inventory_server.clock import now_microseconds
from inventory_server.domain.product import Product
from inventory_server.domain.requests import ImportProducts
from pos_client import PosClient
from tests.support.browser import chromium, needs_chromium, page_of
from tests.support.commands import headquarters
from tests.support.maintenance import change
from tests.support.waiting import HANG_SECONDS
from tests.support.web import serving
from tests.support.web_pages import ledger_of_shops, pages_application

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [needs_chromium, pytest.mark.long]
PAGES = {
    "stock": "/stock",
    "stock-nothing": "/stock?q=espreso",
    "product": "/product/ESPRESSO-1KG?location=altmarkt",
    "order": "/order",
    "counts": "/counts",
    "tills": "/tills",
    "exceptions": "/exceptions",
    **{f"setup-{tab}": f"/setup?tab={tab}" for tab in ("terminals", "locations", "catalogue", "proof", "feed")},
    "sign-in": "/sign-in",
}
VIEWPORTS = [
    (1440, "light"),
    (1440, "dark"),
    (1024, "light"),
    (768, "light"),
    (390, "light"),
    (390, "dark"),
    (320, "light"),
]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
WAIT_MS = HANG_SECONDS * 1_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def screenshots(tmp_path: Path) -> Path:
    """Where the screenshots go: the folder TILLWIRE_SCREENSHOTS to look at them."""
    folder = Path(os.environ.get("TILLWIRE_SCREENSHOTS") or tmp_path)
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize(("width", "scheme"), VIEWPORTS)
def test_no_page_overflows_or_has_an_error(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    folder = screenshots(tmp_path)
    with ExitStack() as opened:
        application = opened.enter_context(pages_application(ledger_of_shops(tmp_path), "operator"))
        address = opened.enter_context(serving(application))
        page, wrong = opened.enter_context(page_of(browser, width, scheme))
        for name, path in PAGES.items():
            page.goto(f"http://{address}{path}")
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
            assert page.evaluate(OVERFLOW) <= 0, f"{name} overflows at {width}"
            assert wrong == [], name


def test_a_figure_follows_a_sale_and_looks_stale_while_headquarters_is_away(browser: Browser, tmp_path: Path) -> None:
    with ExitStack() as opened:
        hq, url = opened.enter_context(headquarters(tmp_path, control=True))
        change(url, ImportProducts([Product(sku="milk", name="Milk")]))
        till = opened.enter_context(PosClient(hq, terminal="T1", location="L1", outbox=tmp_path / "T1.db"))
        till.receive([("milk", 1_204)]).wait(timeout=HANG_SECONDS)
        application = opened.enter_context(pages_application(url, "reader", now_microseconds))
        page, wrong = opened.enter_context(page_of(browser, 1440))
        with serving(application) as address:
            page.goto(f"http://{address}/stock")
            figure = page.locator("tr[data-sku=milk] [data-figure=available]")
            assert figure.inner_text() == "1,204"
            till.sell([("milk", 5)]).wait(timeout=HANG_SECONDS)
            figure.get_by_text("1,199").wait_for(timeout=WAIT_MS)
            assert "changed" in (figure.get_attribute("class") or "")
            assert wrong == []
            assert page.locator("body.stale").count() == 0
        page.locator("body.stale").wait_for(timeout=WAIT_MS)
        assert "Not live since" in page.locator("#stale").inner_text()
        assert page.locator("#live").inner_text().startswith("Not live")
