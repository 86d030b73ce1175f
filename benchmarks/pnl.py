"""P&L of a large portfolio after a tick: the monitor values 1,000 positions anew, holds them to the loss limits and tells the screens."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from benchmarks.report import Row

POSITIONS = 1000
TICKS = 120
LIMIT_MS = 50.0


def _portfolio() -> tuple[int, list[str]]:
    """A portfolio with a thousand positions, half of them short. Its id and their symbols."""
    from apps.core.models import User
    from apps.marketdata.models import Instrument
    from apps.portfolios.models import EntryKind
    from apps.portfolios.services.ledger import entry_post
    from apps.portfolios.services.portfolios import portfolio_create

    at = datetime.now(UTC)
    owner = User.objects.create_user("bench-pnl")
    portfolio = portfolio_create(name="P&L", owner=owner, initial_capital=Decimal(100_000_000), effective_at=at, recorded_at=at)
    book_id = portfolio.books.get().pk
    made = Instrument.objects.bulk_create([Instrument(symbol=f"PNL{n:04d}", name=f"Position {n}", asset_class="stock") for n in range(POSITIONS)])
    for n, instrument in enumerate(made):
        entry_post(
            portfolio_id=portfolio.pk, book_id=book_id, kind=EntryKind.TRADE, instrument_id=instrument.pk, quantity=Decimal(100 if n % 2 else -100),
            price=Decimal("100.25"), source="bench-pnl", source_ref=instrument.symbol, effective_at=at, recorded_at=at,
        )  # fmt: skip
    return portfolio.pk, [instrument.symbol for instrument in made]


def _publish(symbols: list[str]) -> None:
    from apps.marketdata.models import Instrument
    from apps.marketdata.selectors.quotes import Quote
    from apps.marketdata.services.quotes import quotes_publish

    now, ids = datetime.now(UTC), dict(Instrument.objects.filter(symbol__in=symbols).values_list("symbol", "id"))
    quotes = [Quote(symbol=s, instrument_id=ids[s], price=Decimal("101.5"), market_time=now, received_at=now, feed="bench") for s in symbols]
    quotes_publish(quotes=quotes, feed="bench")


def rows() -> list[Row]:
    """From a tick to the published P&L. The monitor's clock moves on by its own pace, so that its looks at the ledger are in it."""
    from apps.marketdata.selectors.quotes import FeedMessage
    from apps.risk.services.monitor import PUBLISH_EVERY, RiskMonitor

    portfolio_id, symbols = _portfolio()
    _publish(symbols)
    monitor, now = RiskMonitor(), datetime.now(UTC)
    monitor.step(now)
    taken = np.empty(TICKS)
    for n in range(TICKS):
        now += PUBLISH_EVERY + timedelta(milliseconds=1)
        prices = {symbols[n % POSITIONS]: Decimal(100) + Decimal(n % 7) / 4}
        tick = FeedMessage(kind="quotes", feed="bench", session=now.date(), market_time=now, received_at=now, symbols=tuple(prices), prices=prices)
        started = time.perf_counter()
        monitor.receive(tick)
        views = monitor.step(now)
        taken[n] = (time.perf_counter() - started) * 1000
        told = [view for view in views if view.valuation.portfolio_id == portfolio_id]
        if len(told) != 1 or told[0].valuation.unrealised is None:
            raise RuntimeError(f"tick {n} gave {len(told)} values of the portfolio")
    median, p95 = np.percentile(taken, [50, 95])
    return [
        Row(
            work=f"P&L of {POSITIONS:,} positions after a tick, published to screens: median",
            ours=f"{median:.1f} ms",
            peer=f"p95 {p95:.1f} ms, a reload of the ledger in it",
            ratio="-",
            required=f"< {LIMIT_MS:.0f} ms",
            met=bool(median < LIMIT_MS),
        )
    ]
