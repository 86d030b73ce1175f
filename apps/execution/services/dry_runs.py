"""The dry run: the live engine's steps over stored bars with simulated fills. Writes nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.jobs import Progress
from apps.execution.domain.dry_run import DryRun, DryRunCosts, equity_of
from apps.execution.domain.engine_config import RiskConfig
from apps.execution.domain.protection import StopLossConfig
from apps.execution.services.accounts import account_of
from apps.execution.services.engine_strategy import strategy_made
from apps.execution.services.live_config import LiveConfig
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import fingerprint
from apps.marketdata.selectors.adjusting import session_days
from apps.marketdata.selectors.bars import bar_panel, visible_end
from apps.marketdata.selectors.instruments import instrument_get
from apps.strategies.domain.performance import periods_per_year
from apps.strategies.domain.round_trips import EngineFill, RoundTrip, round_trips
from apps.strategies.domain.sizers import PercentSizer
from apps.strategies.domain.strategy import bar_time
from apps.strategies.services.backtests import summary

if TYPE_CHECKING:
    from apps.strategies.engines.protocol import EngineResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DryRunResult:
    """As a backtest's result: `equity` float64 [T] in money at each bar's close, fills in order, round trips."""

    equity: NDArray[np.float64]
    fills: tuple[EngineFill, ...]
    trades: tuple[RoundTrip, ...]


def dry_run(*, config: LiveConfig, cash: float, replay_days: int | None, at: datetime, progress: Progress) -> dict[str, Any]:
    """Replay the last `replay_days` sessions (None: all) that the market has completed, and say what came of it.

    The strategy sees the bars before them, as a live engine would. Prices are adjusted for splits, as in a backtest up to the same day.
    Answers with the keys of a backtest.
    Raises InvalidInput (symbols without enough bars, replay_days), NotFound (symbols) and Conflict (portfolio without account).
    """
    strategy = strategy_made(config.strategy, config.parameters)
    account = account_of(config.portfolio_id)
    calendar = instrument_get(config.symbols[0]).calendar
    end = visible_end(at, timeframe=config.timeframe, calendar=calendar)
    panel = bar_panel(symbols=list(config.symbols), timeframe=config.timeframe, end=end, adjustment=Adjustment.SPLIT)
    days = session_days(panel.ts, config.timeframe, calendar)
    first = _first_row(days, replay_days, strategy.warmup)
    costs = DryRunCosts(
        cash=cash,
        size_fraction=config.size_fraction,
        commission=float(account.commission),
        slippage_bps=float(account.slippage_bps),
        max_volume_pct=config.max_volume_pct,
    )
    guarded = config.stop_loss != StopLossConfig() or config.risk != RiskConfig()
    stops = config.stop_loss if guarded else None  # also without a stop: beside limits an unchanged signal is no news
    sizer = None if isinstance(config.sized_by, PercentSizer) else config.sized_by
    run = DryRun(
        strategy=strategy, panel=panel, costs=costs, stops=stops, sizer=sizer, days=days, limits=config.risk, enable_trading=config.enable_trading
    )
    progress.start(len(panel) - first, f"replaying {len(panel) - first} bars of {', '.join(config.symbols)}")
    for t in range(first, len(panel)):
        if progress.cancelled():
            break
        run.bar(t)
        progress.advance()
    run.close()
    return _document(config, run, DryRunResult(equity=equity_of(run), fills=tuple(run.fills), trades=round_trips(run.fills)), first)


def _first_row(days: NDArray[np.datetime64], replay_days: int | None, warmup: int) -> int:
    """The first bar of the sessions to replay."""
    if replay_days is not None and replay_days < 1:
        raise InvalidInput("at least one day is replayed", field="replay_days")
    if len(days) <= warmup:
        raise InvalidInput(f"{len(days)} bars are stored up to now, the strategy needs {warmup + 1}", field="symbols")
    return 0 if replay_days is None else int(np.searchsorted(days, np.unique(days)[-replay_days:][0]))


def _document(config: LiveConfig, run: DryRun, result: DryRunResult, first: int) -> dict[str, Any]:
    figures = summary(cast("EngineResult", result), run.costs.cash, periods_per_year=periods_per_year(config.timeframe))
    times = [bar_time(run.panel, first + n).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(len(result.equity))]
    return {
        "mode": "dry-run",
        "strategy": config.strategy,
        "symbols": list(config.symbols),
        "timeframe": config.timeframe.code,
        "engine": "dry-run",
        "adjustment": Adjustment.SPLIT,
        **figures,
        "dataset_fingerprint": fingerprint(run.panel),
        "equity_curve": [list(point) for point in zip(times, result.equity.tolist(), strict=True)],
        "trades": [trip.as_dict() for trip in result.trades],
        "stops": [
            {"time": bar_time(run.panel, t).isoformat(), "symbol": exit_.symbol, "kind": exit_.kind.value, "reason": exit_.reason}
            for t, exit_ in run.exits
        ],
        "refused": [{"time": bar_time(run.panel, t).isoformat(), "symbol": symbol, "codes": list(codes)} for t, symbol, codes in run.refused],
        "enable_trading": config.enable_trading,
        "circuit_breaker": {"active": run.protection.tripped, "reason": run.protection.reason},
        "orders": [
            {
                "time": fill.time.isoformat(),
                "symbol": fill.symbol,
                "side": str(fill.side),
                "quantity": fill.quantity,
                "price": fill.price,
                "fee": fill.fee,
                "closing": fill.closing,
            }
            for fill in result.fills
        ],
    }
