"""Backtests: checked, run, and stored with everything that is needed to run them again."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from django.db import transaction

from apps.core.documents import plain
from apps.core.errors import InvalidInput, NotFound, RuleRefused
from apps.core.jobs import NullProgress, Progress, job_create
from apps.core.locks import lock_transaction
from apps.core.models import JobRun
from apps.core.models.jobs import JobState
from apps.core.money import MONEY_PLACES, exact, money
from apps.core.tasks import enqueue_on_commit
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import BarPanel, fingerprint
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.quarantine import quarantined_between
from apps.marketdata.selectors.resampled import panel_at
from apps.marketdata.selectors.universes import universe_members
from apps.strategies.domain import performance
from apps.strategies.domain.matching import FillAt
from apps.strategies.models import BacktestRun

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.marketdata.models import Instrument
    from apps.strategies.engines.protocol import Costs, EngineResult
    from apps.strategies.engines.registry import Prepared

TASK = "strategies.backtest"
MOST_BARS = 20_000_000
MOST_CASH = Decimal(10) ** 12
#: Asset classes that trade on every day of the year; all others are annualised by sessions.
EVERY_DAY = frozenset({"crypto"})


@dataclass(frozen=True, kw_only=True)
class BacktestRequest:
    """What somebody wants to know. Amounts are Decimal or text with at most four places; `max_volume_pct` and `size_fraction` fractions.

    Prices are told in shares of the run's last bar (`adjustment`), so that a run sees nothing of what came after it; with `as_of` they are
    those that the desk had at that time. Data in quarantine refuses the run unless `allow_quarantined`; the run then keeps which data it was.
    `universe` says of which universe's members on the first day `symbols` are (`universe_symbols`); the run keeps it.
    """

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
    allow_quarantined: bool = False
    adjustment: Adjustment | str = Adjustment.SPLIT
    as_of: datetime | str | None = None
    universe: str = ""

    def __post_init__(self) -> None:
        """Raises InvalidInput, naming the field, for whatever cannot be run."""
        if not self.symbols:
            raise InvalidInput("at least one symbol is needed", field="symbols")
        if len(set(self.symbols)) != len(self.symbols):
            raise InvalidInput("a symbol is given twice", field="symbols")
        if self.start > self.end:
            raise InvalidInput(f"the start {self.start} lies after the end {self.end}", field="start")
        if self.fill_at.upper() not in FillAt.__members__:
            raise InvalidInput(f"{self.fill_at!r} is not one of close, open, vwap", field="fill_at")
        if exact(self.cash, places=MONEY_PLACES, field="cash") > MOST_CASH:
            raise InvalidInput(f"more than {MOST_CASH:,f} is no backtest", field="cash")
        _ = self.costs, self.prepared, self.instruments, self.prices, self.known_at

    @cached_property
    def instruments(self) -> "dict[str, Instrument]":
        try:
            return instruments_get(self.symbols)
        except NotFound as error:
            raise InvalidInput(error.detail, field="symbols") from error

    @cached_property
    def prices(self) -> Adjustment:
        return Adjustment.parse(self.adjustment)

    @cached_property
    def known_at(self) -> datetime | None:
        if self.as_of is None:
            return None
        try:
            moment = self.as_of if isinstance(self.as_of, datetime) else datetime.fromisoformat(self.as_of)
        except ValueError as error:
            raise InvalidInput(f"{self.as_of!r} is no time like 2026-01-31T00:00:00Z", field="as_of") from error
        if moment.tzinfo is None:
            raise InvalidInput(f"{self.as_of} has no time zone", field="as_of")
        return moment

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

    @property
    def periods_per_year(self) -> float:
        """Bars of a year: 252 sessions a day, unless every symbol trades on every day."""
        every_day = all(item.asset_class in EVERY_DAY for item in self.instruments.values())
        return performance.periods_per_year(self.timeframe, every_day=every_day)

    def configuration(self) -> dict[str, Any]:
        """Costs and fills, Decimals as strings."""
        amounts = {name: str(getattr(self, name)) for name in ("cash", "commission", "slippage_bps")}
        return {**amounts, "fill_at": self.fill_at, "max_volume_pct": self.max_volume_pct, "size_fraction": self.size_fraction, **self._data()}

    def _data(self) -> dict[str, Any]:
        """Which prices; quarantine and time only where somebody asked for them."""
        asked: dict[str, Any] = {"allow_quarantined": True} if self.allow_quarantined else {}
        if self.universe:
            asked["universe"] = self.universe
        if self.known_at is not None:
            asked["as_of"] = self.known_at.isoformat()
        return {"adjustment": self.prices.value, **asked}

    def as_dict(self) -> dict[str, Any]:
        """JSON form, from which `request_build` makes the request again."""
        period = {"start": self.start.isoformat(), "end": self.end.isoformat(), "timeframe": self.timeframe.code}
        names = {"strategy": self.strategy, "symbols": list(self.symbols), "parameters": dict(self.parameters or {}), "engine": self.engine}
        return {**names, **period, **self.configuration()}


def universe_symbols(name: str, *, on: date) -> list[str]:
    """Today's symbols of the instruments that were in a universe on a day, whatever became of them. Raises InvalidInput when there are none."""
    try:
        found = [member.current for member in universe_members(name, on=on)]
    except NotFound as error:
        raise InvalidInput(error.detail, field="universe") from error
    if not found:
        raise InvalidInput(f"nobody was in the universe {name!r} on {on}", field="universe")
    return found


def request_build(data: Mapping[str, Any]) -> BacktestRequest:
    """The request of its JSON form. Raises as BacktestRequest does."""
    known = {field.name for field in fields(BacktestRequest)}
    period = {name: date.fromisoformat(data[name]) for name in ("start", "end")}
    given = {name: value for name, value in data.items() if name in known}
    return BacktestRequest(**{**given, **period, "timeframe": Timeframe.parse(data["timeframe"])})


def backtest_run(*, request: BacktestRequest, user: "User | None", at: datetime, progress: Progress | None = None) -> BacktestRun:
    """Run and store. The same request on the same bars and code gives the same fingerprint, code version and results.

    Raises InvalidInput when a symbol has too few bars for the strategy or the run is too large, and RuleRefused when data of its days
    is in quarantine and it was not asked for.
    """
    progress = progress or NullProgress()
    quarantines = _quarantines(request)
    progress.start(3, f"loading bars of {len(request.symbols)} symbols")
    panel = _panel(request)
    progress.advance()
    progress.say(f"running {request.strategy} over {len(panel)} bars")
    started = time.perf_counter()
    result = request.prepared.run(panel, request.costs)
    seconds = time.perf_counter() - started
    progress.advance()
    progress.say("storing the run")
    run = _store(request=request, panel=panel, result=result, seconds=seconds, quarantines=quarantines, user=user, at=at)
    progress.advance()
    return run


def backtest_request(*, request: BacktestRequest, user: "User", at: datetime, request_uuid: UUID | None = None) -> JobRun:
    """Queue the run as a job; its result is {"backtest_id"}.

    The same user's request with the same `request_uuid` is the same job: asked again, it is queued once more only if it never began.
    Raises RuleRefused for data in quarantine as the run itself does, but before anybody waits for it.
    """
    _quarantines(request)
    parameters = request.as_dict()
    with transaction.atomic():
        job = None
        if request_uuid is not None:
            lock_transaction(f"backtest:{request_uuid}")
            parameters["request_uuid"] = str(request_uuid)
            job = JobRun.objects.filter(job=TASK, requested_by=user, parameters__request_uuid=str(request_uuid)).first()
        job = job or job_create(job=TASK, at=at, parameters=parameters, requested_by=user)
        if job.state == JobState.QUEUED:
            enqueue_on_commit(TASK, queue="compute", job_run_id=job.pk)
    return job


def _quarantines(request: BacktestRequest) -> list[str]:
    """Quarantines of the request's data in words. Raises RuleRefused, naming symbols, days and reasons, unless they are allowed."""
    found = quarantined_between(request.symbols, request.timeframe, request.start, request.end)
    texts = [str(item) for items in found.values() for item in items]
    if texts and not request.allow_quarantined:
        raise RuleRefused(f"data is in quarantine: {'; '.join(texts)}", field="symbols", code_detail="DATA_QUARANTINED", symbols=list(found))
    return texts


def _panel(request: BacktestRequest) -> BarPanel:
    panel = panel_at(
        symbols=list(request.symbols),
        timeframe=request.timeframe,
        start=request.start,
        end=request.end,
        adjustment=request.prices,
        as_of=request.known_at,
    )
    needed = request.prepared.bars_needed
    for n, symbol in enumerate(panel.symbols):
        have = int((~np.isnan(panel.close[:, n])).sum())
        if have < needed:
            text = f"{symbol} has {have} bars from {request.start} to {request.end}, {request.strategy} needs {needed}"
            raise InvalidInput(text, field="symbols", code_detail="INSUFFICIENT_DATA")
    if panel.close.size > MOST_BARS:
        raise InvalidInput(f"{panel.close.size} bars are more than the {MOST_BARS} of one run", field="symbols")
    return panel


def _store(
    *,
    request: BacktestRequest,
    panel: BarPanel,
    result: "EngineResult",
    seconds: float,
    quarantines: list[str],
    user: "User | None",
    at: datetime,
) -> BacktestRun:
    return BacktestRun.objects.create(
        strategy=request.strategy,
        engine=request.engine,
        symbols=list(request.symbols),
        timeframe=request.timeframe.code,
        start=request.start,
        end=request.end,
        parameters=plain(request.prepared.parameters),
        configuration=request.configuration() | ({"quarantined": quarantines} if quarantines else {}),
        dataset_fingerprint=fingerprint(panel),
        code_version=code_version(request.prepared),
        initial_capital=exact(request.cash, places=MONEY_PLACES, field="cash"),
        final_value=money(Decimal(repr(float(result.equity[-1])))),
        results=summary(result, request.costs.cash, periods_per_year=request.periods_per_year),
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
    for source in prepared.sources:
        digest.update(source.encode() + b"\0")
    return digest.hexdigest()


def summary(result: "EngineResult", cash: float, *, periods_per_year: float = performance.SESSIONS_PER_YEAR) -> dict[str, Any]:
    """The run's figures; null is not defined. `max_drawdown` is a fraction <= 0, its first peak the initial cash.

    Returns are those between the bars of the equity curve, from the initial cash on: what the first bar's orders cost belongs to the
    first return.
    """
    values = np.concatenate([[cash], result.equity[1:]])
    returns = performance.returns_of(values)
    wins = sum(trip.pnl > 0 for trip in result.trades)
    figures = {
        "total_return_pct": (float(result.equity[-1]) / cash - 1.0) * 100,
        "sharpe": performance.sharpe(returns, periods_per_year),
        "max_drawdown": performance.max_drawdown(returns),
        "cagr": performance.cagr(returns, periods_per_year),
        "volatility": performance.volatility(returns, periods_per_year),
        "win_rate": wins / len(result.trades) if result.trades else None,
        "fees": sum(fill.fee for fill in result.fills),
    }
    return {
        "bar_count": len(result.equity),
        "initial_capital": cash,
        "final_value": float(result.equity[-1]),
        "total_trades": len(result.trades),
        **{name: _finite(value) for name, value in figures.items()},
    }


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def prices_text(configuration: Mapping[str, Any]) -> str:
    """Which prices a run saw, in words. Runs from before there were adjusted prices saw them as traded."""
    said = {"split": "split-adjusted", "total_return": "adjusted for splits and dividends"}
    said["total_return_at_close"] = f"{said['total_return']}, reinvested at the close of the ex-date"
    text = said.get(configuration.get("adjustment", ""), "as traded, splits and dividends are not adjusted")
    return f"{text}, as known at {configuration['as_of']}" if "as_of" in configuration else text


def adjustment_of(configuration: Mapping[str, Any]) -> Adjustment:
    """The adjustment of a stored run."""
    return Adjustment(configuration.get("adjustment", Adjustment.NONE))


def backtest_get(backtest_id: int) -> BacktestRun:
    """A stored run. Raises NotFound."""
    run = BacktestRun.objects.select_related("requested_by").filter(pk=backtest_id).first()
    if run is None:
        raise NotFound(f"there is no backtest {backtest_id}", field="id")
    return run
