"""What risk was, written down: the history of a portfolio's risk."""

from dataclasses import dataclass
from datetime import datetime

from apps.core.documents import plain
from apps.core.jobs import NullProgress, Progress
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR, MarketClock, market_clock
from apps.portfolios.selectors.track import active_portfolio_ids
from apps.risk.domain.portfolio_risk import Method, PortfolioRisk, RiskNumber, RiskState
from apps.risk.models import RiskSnapshot
from apps.risk.selectors.portfolio_risk import portfolio_risk_now


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsRecorded:
    """Portfolios with a new snapshot, those that had one of this time already, and the states that are not OK by portfolio."""

    recorded: tuple[int, ...]
    known: tuple[int, ...]
    states: dict[int, str]


def snapshots_record(*, now: datetime, progress: Progress | None = None) -> SnapshotsRecorded:
    """A snapshot of every active portfolio at the market's time.

    Nothing where that time has one already; and while the market is closed nothing but one after each close.
    """
    watched, recorded, known, states = progress or NullProgress(), [], [], {}
    ids, since = active_portfolio_ids(), _since(market_clock(now))
    done = set(RiskSnapshot.objects.filter(portfolio_id__in=ids, ts__gte=since).values_list("portfolio_id", flat=True))
    watched.start(len(ids), "risk of portfolios")
    for portfolio_id in ids:
        if watched.cancelled():
            break
        watched.advance()
        if portfolio_id in done:
            known.append(portfolio_id)
            continue
        risk = portfolio_risk_now(portfolio_id=portfolio_id, now=now)
        snapshot_store(portfolio_id=portfolio_id, risk=risk, recorded_at=now)
        recorded.append(portfolio_id)
        if risk.state is not RiskState.OK:
            states[portfolio_id] = risk.state.value
    return SnapshotsRecorded(recorded=tuple(recorded), known=tuple(known), states=states)


def _since(market: MarketClock) -> datetime:
    """From when on a snapshot is one of now."""
    if market.is_open:
        return market.market_time
    return calendars.session_hours(HOME_CALENDAR, calendars.last_completed_session(HOME_CALENDAR, market.market_time))[1]


def snapshot_store(*, portfolio_id: int, risk: PortfolioRisk, recorded_at: datetime) -> None:
    """Store one computation, whose `as_of` is a time. A snapshot of the same market time stays as it is."""
    row = RiskSnapshot(portfolio_id=portfolio_id, ts=risk.as_of, recorded_at=recorded_at, **_columns(risk))
    RiskSnapshot.objects.bulk_create([row], ignore_conflicts=True)


def _columns(risk: PortfolioRisk) -> dict[str, object]:
    def historical(numbers: tuple[RiskNumber, ...], confidence: float) -> float | None:
        return next(one.value for one in numbers if (one.method, one.confidence, one.horizon) == (Method.HISTORICAL, confidence, 1))

    parts, slowest = risk.contributions.get(0.99), risk.liquidity.longest
    return {
        "state": risk.state,
        "window": risk.window,
        "n": risk.n,
        "fingerprint": risk.fingerprint,
        "equity": risk.equity,
        "gross": risk.exposure.gross,
        "net": risk.exposure.net,
        "var_95": historical(risk.var, 0.95),
        "es_95": historical(risk.es, 0.95),
        "var_99": historical(risk.var, 0.99),
        "es_99": historical(risk.es, 0.99),
        "diversification_99": parts.diversification if parts else None,
        "volatility": risk.volatility[0].value,
        "beta": risk.beta.value,
        "drawdown": risk.drawdown.current if risk.drawdown else None,
        "hhi": risk.concentration.hhi,
        "days_to_exit": slowest[1] if slowest else None,
        "numbers": {name: [_number(one) for one in getattr(risk, name)] for name in ("var", "es", "volatility")},
    }


def _number(one: RiskNumber) -> dict[str, object]:
    fields = ("value", "state", "method", "confidence", "horizon", "n", "note")
    return {name: plain(getattr(one, name)) for name in fields}
