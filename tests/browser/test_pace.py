"""Prices that come much faster than an eye can follow: the socket carries them all, the page paints at its own pace."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.browser.conftest import ROOT, Desk, screenshot

pytestmark = pytest.mark.browser

SignIn = Callable[..., Page]
FEED = "fast"
#: A feed of its own for the running desk: prices from 5000 up, forty times a second, until it is stopped.
FAST_FEED = f"""
from itertools import count
from time import sleep
from apps.core.clock import now
from apps.core.streams import publish
for number in count(5000):
    sides = {{"bid": f"{{number}}.25", "bid_size": "300", "ask": f"{{number}}.75", "ask_size": "1200"}}
    row = {{"price": f"{{number}}.5", "market_time": now(), "received_at": now(), "feed": "{FEED}", "quote_time": now(), "basis": "mid"}}
    publish("quotes", {{"quotes": {{"AAPL": row | sides | {{"count": number}}}}}})
    sleep(0.025)
"""
#: Remembers when each text was painted, of our feed alone: the desk's own replay knows no such prices.
OBSERVE = """cell => {
  window.paints = [];
  const look = () => {
    const price = Number(cell.textContent.replaceAll(",", ""));
    if (price >= 5000) document.body.dataset.paints = window.paints.push([performance.now(), price]);
  };
  new MutationObserver(look).observe(cell, { childList: true, characterData: true, subtree: true });
}"""
PAINTS_MS = 250
#: The first paint may be seen so much later than it was.
SEEN_LATE_MS = 50


@contextmanager
def fast_feed(desk: Desk) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "manage.py", "shell", "-c", FAST_FEED], cwd=ROOT, env=desk.environment)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def listen_in(page: Page) -> list[float]:
    """Our prices as the socket delivers them."""
    delivered: list[float] = []

    def frame(text: str | bytes) -> None:
        message = json.loads(text)
        row = message["d"].get("quotes", {}).get("AAPL", {}) if message.get("ch") == "quotes" and "d" in message else {}
        if row.get("feed") == FEED:
            delivered.append(float(row["price"]))

    def socket(opened: WebSocket) -> None:
        opened.on("framereceived", frame)

    page.on("websocket", socket)
    return delivered


def test_a_price_is_painted_at_most_four_times_a_second(sign_in: SignIn, desk: Desk) -> None:
    page = sign_in("trader")
    delivered = listen_in(page)
    page.goto(f"{desk.url}/instruments/AAPL")
    page.locator(".cards [data-field=price]").first.evaluate(OBSERVE)
    with fast_feed(desk):
        expect(page.locator("body")).to_have_attribute("data-paints", re.compile(r"8|9|\d\d+"))
        paints = page.evaluate("window.paints")
    prices = [price for _, price in paints]
    deadline = time.monotonic() + 60
    while prices[-1] not in delivered:  # the driver tells of frames in its own time
        assert time.monotonic() < deadline, f"{prices[-1]} was painted and never delivered"
        page.wait_for_timeout(20)
    assert paints[-1][0] - paints[0][0] >= PAINTS_MS * (len(paints) - 1) - SEEN_LATE_MS
    assert prices == sorted(set(prices))  # the newest wins, and none is painted twice
    within = [price for price in delivered if prices[0] <= price <= prices[-1]]
    assert set(prices) <= set(delivered)
    assert len(within) > len(prices)  # or nothing was held back


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_ticket_shows_bid_and_ask_with_their_sizes(sign_in: SignIn, desk: Desk, scheme: str) -> None:
    page = sign_in("trader", scheme=scheme)
    page.goto(f"{desk.url}/trade?symbol=AAPL")
    with fast_feed(desk):
        note = page.locator("#t-quote")
        expect(note).to_contain_text(re.compile(r"Bid5,\S+ × 300Middle5,\S+Ask5,\S+ × 1,200"))
        screenshot(page, f"ticket-{scheme}")
