"""From stored bars through a strategy's signal to a booked paper fill, and the same strategy as a backtest."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from apps.execution.models import Order, OrderStatus
from apps.marketdata.tests.factories import make_series, store_series
from apps.strategies.domain.matching import FillAt
from apps.strategies.services.backtests import BacktestRequest, backtest_run

AT = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def wave(transactional_db: None) -> str:
    """A symbol that rises and falls in a wave of 40 sessions."""
    store_series(make_series("WAVE", 50 + 10 * np.sin(np.arange(240) * 2 * np.pi / 40)))
    return "WAVE"


def request(symbol: str, **fields: object) -> BacktestRequest:
    period = {"start": date(2012, 1, 3), "end": date(2012, 12, 14)}
    return BacktestRequest(strategy="sma_cross", symbols=[symbol], parameters={"fast": "3", "slow": "9"}, **{**period, **fields})


def test_the_same_bars_and_code_give_the_same_run(wave: str) -> None:
    first, second = (backtest_run(request=request(wave), user=None, at=AT) for _ in range(2))
    assert first.pk != second.pk
    for name in ("dataset_fingerprint", "code_version", "results", "equity", "trades"):
        assert getattr(first, name) == getattr(second, name)
    assert first.results["total_trades"] >= 4


def test_a_revised_bar_changes_the_fingerprint(wave: str) -> None:
    before = backtest_run(request=request(wave), user=None, at=AT)
    revised = make_series("WAVE", 50 + 10 * np.sin(np.arange(240) * 2 * np.pi / 40) + (np.arange(240) == 100) * 0.5)
    store_series(revised)
    after = backtest_run(request=request(wave), user=None, at=AT)
    assert before.dataset_fingerprint != after.dataset_fingerprint
    assert before.code_version == after.code_version


def test_waiting_for_the_next_open_costs_something(wave: str) -> None:
    at_close = backtest_run(request=request(wave), user=None, at=AT)
    at_open = backtest_run(request=request(wave, fill_at=FillAt.OPEN.name.lower(), slippage_bps="5", commission="1"), user=None, at=AT)
    assert at_open.final_value < at_close.final_value


def test_a_backtest_places_no_order(wave: str) -> None:
    backtest_run(request=request(wave), user=None, at=AT)
    assert not Order.objects.exclude(status=OrderStatus.DENIED).exists()
