"""Stored bars and runs for tests of this app and of the apps above it."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from django.contrib.auth.models import Group

from apps.core.models import User
from apps.core.roles import Role
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.tests.factories import UserFactory
from apps.strategies.models import BacktestRun
from apps.strategies.services.backtests import BacktestRequest, backtest_run

AT = datetime(2026, 3, 2, 15, tzinfo=UTC)
START, END = date(2012, 1, 3), date(2013, 12, 31)


def closes(seed: int, count: int = 400) -> np.ndarray:
    """A random walk from 50, to the cent."""
    return np.round(50 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.015, count))), 2)


def store_bars(*symbols: str, count: int = 400) -> None:
    """Daily bars of each symbol from START on; the same symbol always gets the same bars."""
    store_series(*(make_series(symbol, closes(sum(map(ord, symbol)), count), start=START) for symbol in symbols))


def make_request(**changes: Any) -> BacktestRequest:
    """sma_cross on AAPL and IBM over two years with some costs."""
    usual = {"strategy": "sma_cross", "symbols": ["AAPL", "IBM"], "start": START, "end": END, "commission": "1", "slippage_bps": "5"}
    return BacktestRequest(**{**usual, **changes})


def make_run(**changes: Any) -> BacktestRun:
    """A stored run of `make_request`; the bars must be there."""
    user = changes.pop("user", None)
    return backtest_run(request=make_request(**changes), user=user, at=AT)


def person(role: Role) -> User:
    user = UserFactory()
    user.groups.add(Group.objects.get(name=role.value))
    return user
