"""Backtests: checked, run, and stored with everything that is needed to run them again."""

import hashlib
import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.core.errors import InvalidInput, NotFound
from apps.core.jobs import NullProgress, Progress, job_create
from apps.core.models import JobRun
from apps.core.money import MONEY_PLACES, exact, money
from apps.core.tasks import enqueue_on_commit
from apps.marketdata.domain.bars import BarPanel, fingerprint
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_panel
from apps.marketdata.selectors.instruments import instruments_get
from apps.strategies.domain import matching, performance
from apps.strategies.domain.matching import FillAt
from apps.strategies.models import BacktestRun

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.strategies.engines.protocol import Costs, EngineResult
    from apps.strategies.engines.registry import Prepared

TASK = "strategies.backtest"
MOST_BARS = 20_000_000


@dataclass(frozen=True, kw_only=True)
class BacktestRequest:
    """What somebody wants to know. Amounts are Decimal or text with at most four places; `max_volume_pct` and `size_fraction` fractions."""

    strategy: str
    symbols: Sequence[str]
    start: date
    end: date
    timeframe: Timeframe = Timeframe.DAY
    cash: Decimal | str | int = Decimal(100_000)
    parameters: Mapping[str, object] | None = None
    commission: Decimal | str | int = Decimal(0)
    slippage_bps: Decimal | str | int = Decimal(0)
    fill_at: str = "close"
    max_volume_pct: float = 0.1
    size_fraction: float | None = None
    engine: str = "event"

    def __post_init__(self) -> None:
        """Raises InvalidInput or NotFound, naming the field, for whatever cannot be run."""
        if not self.symbols:
            raise InvalidInput("at least one symbol is needed", field="symbols")
        if self.start > self.end:
            raise InvalidInput(f"the start {self.start} lies after the end {self.end}", field="start")
        if self.fill_at.upper() not in FillAt.__members__:
            raise InvalidInput(f"{self.fill_at!r} is not one of close, open, vwap", field="fill_at")
        instruments_get(self.symbols)
        _ = self.costs, self.prepared

    @cached_property
    def prepared(self) -> "Prepared":
        from apps.strategies.engines.registry import prepare

        return prepare(strategy=self.strategy, parameters=self.parameters or {}, engine=self.engine)

    @cached_property
    def costs(self) -> "Costs":
        from apps.strategies.engines.protocol import Costs

        amounts = {name: float(exact(getattr(self, name), places=MONEY_PLACES, field=name)) for name in ("cash", "commission", "slippage_bps")}
        fill_at = FillAt[self.fill_at.upper()]
        return Costs(**amounts, fill_at=fill_at, max_volume_pct=self.max_volume_pct, size_fraction=self.size_fraction)

    def configuration(self) -> dict[str, Any]:
        """Costs and fills, Decimals as strings."""
        amounts = {name: str(getattr(self, name)) for name in ("cash", "commission", "slippage_bps")}
        return {**amounts, "fill_at": self.fill_at, "max_volume_pct": self.max_volume_pct, "size_fraction": self.size_fraction}

    def as_dict(self) -> dict[str, Any]:
        """JSON form, from which `request_build` makes the request again."""
        period = {"start": self.start.isoformat(), "end": self.end.isoformat(), "timeframe": self.timeframe.code}
        names = {"strategy": self.strategy, "symbols": list(self.symbols), "parameters": dict(self.parameters or {}), "engine": self.engine}
        return {**names, **period, **self.configuration()}


def request_build(data: Mapping[str, Any]) -> BacktestRequest:
    """The request of its JSON form. Raises as BacktestRequest does."""
    period = {name: date.fromisoformat(data[name]) for name in ("start", "end")}
    return BacktestRequest(**{**data, **period, "timeframe": Timeframe.parse(data["timeframe"])})


def backtest_run(*, request: BacktestRequest, user: "User | None", at: datetime, progress: Progress | None = None) -> BacktestRun:
    """Run and store. The same request on the same bars and code gives the same fingerprint, code version and results.

    Raises InvalidInput when a symbol has too few bars for the strategy or the run is too large.
    """
    progress = progress or NullProgress()
    progress.start(3, f"loading bars of {len(request.symbols)} symbols")
    panel = _panel(request)
    progress.advance()
    progress.say(f"running {request.strategy} over {len(panel)} bars")
    started = time.perf_counter()
    result = request.prepared.run(panel, request.costs)
    seconds = time.perf_counter() - started
    progress.advance()
    progress.say("storing the run")
    run = _store(request=request, panel=panel, result=result, seconds=seconds, user=user, at=at)
    progress.advance()
    return run


def backtest_request(*, request: BacktestRequest, user: "User", at: datetime) -> JobRun:
    """Queue the run as a job; its result is {"backtest_id"}."""
    job = job_create(job=TASK, at=at, parameters=request.as_dict(), requested_by=user)
    enqueue_on_commit(TASK, queue="compute", job_run_id=job.pk)
    return job


def _panel(request: BacktestRequest) -> BarPanel:
    panel = bar_panel(symbols=list(request.symbols), timeframe=request.timeframe, start=request.start, end=request.end)
    needed = request.prepared.bars_needed
    for n, symbol in enumerate(panel.symbols):
        have = int((~np.isnan(panel.close[:, n])).sum())
        if have < needed:
            text = f"{symbol} has {have} bars from {request.start} to {request.end}, {request.strategy} needs {needed}"
            raise InvalidInput(text, field="symbols", code_detail="INSUFFICIENT_DATA")
    if panel.close.size > MOST_BARS:
        raise InvalidInput(f"{panel.close.size} bars are more than the {MOST_BARS} of one run", field="symbols")
    return panel


def _store(*, request: BacktestRequest, panel: BarPanel, result: "EngineResult", seconds: float, user: "User | None", at: datetime) -> BacktestRun:
    return BacktestRun.objects.create(
        strategy=request.strategy,
        engine=request.engine,
        symbols=list(request.symbols),
        timeframe=request.timeframe.code,
        start=request.start,
        end=request.end,
        parameters={key: str(value) for key, value in (request.parameters or {}).items()},
        configuration=request.configuration(),
        dataset_fingerprint=fingerprint(panel),
        code_version=code_version(request.prepared),
        initial_capital=exact(request.cash, places=MONEY_PLACES, field="cash"),
        final_value=money(Decimal(repr(float(result.equity[-1])))),
        results=summary(result, request.costs.cash),
        equity=[
            [f"{moment}Z", value] for moment, value in zip(np.datetime_as_string(panel.ts, unit="s").tolist(), result.equity.tolist(), strict=True)
        ],
        trades=[trip.as_dict() for trip in result.trades],
        requested_by=user,
        seconds=seconds,
        created_at=at,
    )


def code_version(prepared: "Prepared") -> str:
    """SHA-256 over the source of the strategy, the engine and the matching function."""
    digest = hashlib.sha256()
    for module in (*prepared.modules, matching):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()


def summary(result: "EngineResult", cash: float) -> dict[str, Any]:
    """The run's figures. Returns are per bar from the initial cash on, ratios for 252 sessions a year; null is not defined."""
    values = np.concatenate([[cash], result.equity])
    returns = performance.returns_of(values)
    wins = sum(trip.pnl > 0 for trip in result.trades)
    figures = {
        "total_return_pct": (values[-1] / cash - 1.0) * 100,
        "sharpe": performance.sharpe(returns),
        "max_drawdown": performance.max_drawdown(returns),
        "cagr": performance.cagr(returns),
        "volatility": performance.volatility(returns),
        "win_rate": wins / len(result.trades) if result.trades else None,
        "fees": sum(fill.fee for fill in result.fills),
    }
    return {
        "bar_count": len(result.equity),
        "initial_capital": cash,
        "final_value": float(values[-1]),
        "total_trades": len(result.trades),
        **{name: _finite(value) for name, value in figures.items()},
    }


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def backtest_get(backtest_id: int) -> BacktestRun:
    """A stored run. Raises NotFound."""
    run = BacktestRun.objects.select_related("requested_by").filter(pk=backtest_id).first()
    if run is None:
        raise NotFound(f"there is no backtest {backtest_id}", field="id")
    return run
