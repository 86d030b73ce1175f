"""Forecasts of value at risk, written before the session they are for, and the zone that their back-test is in."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction

from apps.alerts.services import alert_raise
from apps.core.locks import lock_transaction
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR, market_clock
from apps.portfolios.selectors.portfolios import portfolio_names
from apps.portfolios.selectors.track import active_portfolio_ids
from apps.risk.domain.portfolio_risk import PortfolioRisk, RiskState
from apps.risk.domain.var_backtest import BackTest
from apps.risk.models import VarForecast, VarZoneChange
from apps.risk.selectors.people import everybody_concerned
from apps.risk.selectors.portfolio_risk import portfolio_risk_now
from apps.risk.selectors.var_backtests import ZONE_CONFIDENCE, ZONE_METHOD, stored_back_test

SEVERITY = {"green": "info", "yellow": "warning", "red": "critical"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastsRecorded:
    """What one run did: for which session (None: the market is open), for which portfolios, and why not for the others (state by id)."""

    session: date | None
    recorded: tuple[int, ...]
    without: dict[int, str]


def forecasts_record(*, now: datetime) -> ForecastsRecorded:
    """While the market is closed, forecast the next session for every active portfolio that has no forecast of it yet.

    A portfolio whose risk is anything but OK gets none: a forecast that is made of doubtful data would be tested as if it were good.
    """
    market = market_clock(now)
    if market.is_open:
        return ForecastsRecorded(session=None, recorded=(), without={})
    session = calendars.next_session(HOME_CALENDAR, calendars.last_completed_session(HOME_CALENDAR, market.market_time))
    done = set(VarForecast.objects.filter(session=session).values_list("portfolio_id", flat=True))
    recorded, without = [], {}
    for portfolio_id in active_portfolio_ids():
        if portfolio_id in done:
            continue
        risk = portfolio_risk_now(portfolio_id=portfolio_id, now=now)
        if risk.values and risk.state is RiskState.OK:
            forecast_store(portfolio_id=portfolio_id, risk=risk, session=session, market_time=market.market_time, recorded_at=now)
            recorded.append(portfolio_id)
        else:
            without[portfolio_id] = risk.state.value if risk.values else "nothing held"
    return ForecastsRecorded(session=session, recorded=tuple(recorded), without=without)


def forecast_store(*, portfolio_id: int, risk: PortfolioRisk, session: date, market_time: datetime, recorded_at: datetime) -> None:
    """Store every method's forecast of one session. What is stored already stays. The database refuses a session that has opened."""
    opens_at, _ = calendars.session_hours(HOME_CALENDAR, session)
    shortfalls = {(one.method, one.confidence): one.value for one in risk.es if one.horizon == 1}
    rows = []
    for one in risk.var:
        shortfall = shortfalls.get((one.method, one.confidence))
        if one.horizon == 1 and one.confidence is not None and one.value is not None and shortfall is not None:
            rows.append(
                VarForecast(
                    portfolio_id=portfolio_id,
                    session=session,
                    opens_at=opens_at,
                    method=one.method,
                    confidence=one.confidence,
                    var=one.value,
                    es=shortfall,
                    n=one.n,
                    fingerprint=one.fingerprint,
                    market_time=market_time,
                    recorded_at=recorded_at,
                )
            )
    VarForecast.objects.bulk_create(rows, ignore_conflicts=True)


def zones_update(*, now: datetime) -> tuple[VarZoneChange, ...]:
    """Test the stored forecasts of every active portfolio; a zone other than the last one is written down and told."""
    changes = (_zone_update(portfolio_id, now) for portfolio_id in active_portfolio_ids())
    return tuple(change for change in changes if change is not None)


def _zone_update(portfolio_id: int, now: datetime) -> VarZoneChange | None:
    test = stored_back_test(portfolio_id=portfolio_id, method=ZONE_METHOD, confidence=ZONE_CONFIDENCE)
    if test.zone is None:
        return None
    with transaction.atomic():
        lock_transaction(f"risk-zone:{portfolio_id}")
        rows = VarZoneChange.objects.filter(portfolio_id=portfolio_id, method=ZONE_METHOD, confidence=ZONE_CONFIDENCE)
        before = rows.order_by("-id").values_list("zone", flat=True).first() or ""
        if before == test.zone:
            return None
        change = VarZoneChange.objects.create(
            portfolio_id=portfolio_id,
            method=ZONE_METHOD,
            confidence=ZONE_CONFIDENCE,
            before=before,
            zone=test.zone,
            exceptions=test.exceptions,
            observations=test.observations,
            session=test.days[-1].session,
            recorded_at=now,
        )
        if (before or "green") != test.zone:  # the first test that is green is no news
            _tell(change, test, now)
    return change


def _tell(change: VarZoneChange, test: BackTest, now: datetime) -> None:
    name = portfolio_names([change.portfolio_id])[change.portfolio_id]
    alert_raise(
        code="VAR_ZONE",
        severity=SEVERITY[change.zone],
        title=f"{name}: value at risk came from the {change.before or 'green'} into the {change.zone} zone",
        detail=f"{test.exceptions} losses above the 99 % value at risk in {test.observations} sessions, {test.expected:.1f} expected.",
        subject=f"portfolio:{change.portfolio_id}",
        data={"exceptions": test.exceptions, "observations": test.observations, "multiplier_add": test.multiplier_add, "session": change.session},
        recipients=everybody_concerned(change.portfolio_id),
        occurred_at=market_clock(now).market_time,
        recorded_at=now,
    )
