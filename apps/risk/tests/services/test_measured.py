"""Snapshots, forecasts and their zone: written once, before the session, never changed."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import numpy as np
import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from apps.alerts.models import Alert
from apps.core.roles import Role
from apps.marketdata.domain import calendars
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import PortfolioValue
from apps.portfolios.tests.factories import UserFactory
from apps.risk.domain.portfolio_risk import Method, RiskState
from apps.risk.models import RiskSnapshot, VarForecast, VarZoneChange
from apps.risk.selectors.portfolio_risk import portfolio_risk_at, portfolio_risk_now
from apps.risk.selectors.var_backtests import hypothetical_back_tests, stored_back_test
from apps.risk.services.snapshots import snapshots_record
from apps.risk.services.var_forecasts import forecasts_record, zones_update
from apps.risk.tests.factories import NOW, Desk, person

pytestmark = pytest.mark.django_db

LAST = date(2026, 11, 19)
SESSIONS = calendars.sessions("XNYS", LAST - timedelta(days=760), LAST)[-501:]
NIGHT = datetime(2026, 11, 20, 3, tzinfo=UTC)  # between the close of the 19th and the opening of the 20th
OPENED = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)


@pytest.fixture
def desk() -> Desk:
    """100 shares with 500 returns, priced at the last close."""
    desk = Desk()
    closes = 100 * np.cumprod(1 + np.random.default_rng(11).normal(0, 0.01, 501))
    store_series(make_series(desk.symbol, closes.tolist(), start=SESSIONS[0]))
    desk.price(f"{closes[-1]:.2f}", at=datetime(2026, 11, 19, 21, tzinfo=UTC))
    return desk


def values(desk: Desk, profits: list[float], total: float = 100_000) -> None:
    """Recorded values at the last closes, the first without a profit, in place of all others."""
    PortfolioValue.objects.filter(portfolio_id=desk.portfolio.pk).delete()
    rows = []
    for at, profit in zip(SESSIONS[-len(profits) - 1 :], [0.0, *profits], strict=True):
        total += profit
        amount = Decimal(round(total, 2))
        rows.append(
            PortfolioValue(
                portfolio_id=desk.portfolio.pk, ts=calendars.session_hours("XNYS", at)[1], cash=amount, invested=0, total=amount, flow=0,
                daily_return=0, last_entry_id=0, recorded_at=NOW,
            )
        )  # fmt: skip
    PortfolioValue.objects.bulk_create(rows)


def forecast(desk: Desk, count: int, var: float = 100.0) -> None:
    """Forecasts of the last sessions, each made two hours before its opening."""
    rows = []
    for session in SESSIONS[-count:]:
        opens_at = calendars.session_hours("XNYS", session)[0]
        rows.append(
            VarForecast(
                portfolio=desk.portfolio, session=session, opens_at=opens_at, method=Method.HISTORICAL, confidence=0.99, var=var, es=var, n=500,
                fingerprint="f" * 64, market_time=opens_at - timedelta(hours=2), recorded_at=NOW,
            )
        )  # fmt: skip
    VarForecast.objects.bulk_create(rows)


def test_a_snapshot_is_the_risk_of_its_time_and_is_written_once(desk: Desk) -> None:
    assert desk.portfolio.pk in snapshots_record(now=NOW).recorded
    row, risk = RiskSnapshot.objects.get(portfolio_id=desk.portfolio.pk), portfolio_risk_now(portfolio_id=desk.portfolio.pk, now=NOW)
    assert (row.ts, row.state, row.n, row.window, row.fingerprint) == (NOW, "ok", 500, 500, risk.fingerprint)
    assert row.var_99 == risk.var_of(Method.HISTORICAL, 0.99).value
    assert row.volatility == risk.volatility[0].value
    assert len(row.numbers["var"]) == 20
    assert desk.portfolio.pk in snapshots_record(now=NOW).known
    assert desk.portfolio.pk in snapshots_record(now=NOW + timedelta(minutes=1)).recorded, "the market has moved on"


def test_after_a_close_there_is_one_snapshot(desk: Desk) -> None:
    assert desk.portfolio.pk in snapshots_record(now=NIGHT).recorded
    assert desk.portfolio.pk in snapshots_record(now=NIGHT + timedelta(hours=1)).known


def test_a_snapshot_without_data_has_a_state_and_no_number() -> None:
    bare = Desk()
    assert snapshots_record(now=NOW).states[bare.portfolio.pk] == "no_history"
    row = RiskSnapshot.objects.get(portfolio_id=bare.portfolio.pk)
    assert (row.state, row.var_99, row.es_95) == ("no_history", None, None)
    with pytest.raises(IntegrityError), transaction.atomic():
        RiskSnapshot.objects.create(portfolio_id=bare.portfolio.pk, ts=NIGHT, **{**_values(row), "var_99": 1.0})


def _values(row: RiskSnapshot) -> dict[str, object]:
    return {field.name: getattr(row, field.name) for field in row._meta.fields if field.name not in ("portfolio_id", "ts", "pk")}


def test_a_forecast_is_written_before_the_session_and_stays(desk: Desk) -> None:
    assert forecasts_record(now=NOW).session is None, "the market is open"
    done = forecasts_record(now=NIGHT)
    assert (done.session, desk.portfolio.pk in done.recorded) == (date(2026, 11, 20), True)
    rows = VarForecast.objects.filter(portfolio=desk.portfolio)
    assert rows.count() == 10, "five methods at two confidences"
    risk = portfolio_risk_now(portfolio_id=desk.portfolio.pk, now=NIGHT)
    assert rows.get(method="normal", confidence=0.95).var == risk.var_of(Method.NORMAL, 0.95).value
    desk.price("500", at=NIGHT)
    assert forecasts_record(now=NIGHT + timedelta(hours=1)).recorded == ()
    assert rows.get(method="normal", confidence=0.95).var == risk.var_of(Method.NORMAL, 0.95).value


def test_the_database_refuses_a_forecast_of_a_session_that_has_opened(desk: Desk) -> None:
    forecast(desk, 1)
    row = VarForecast.objects.get(portfolio=desk.portfolio)
    row.pk, row.session, row.market_time, row.opens_at = None, date(2026, 11, 20), OPENED, OPENED
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()


def test_no_forecast_is_made_of_doubtful_data() -> None:
    bare = Desk()
    assert forecasts_record(now=NIGHT).without[bare.portfolio.pk] == "no_history"
    assert not VarForecast.objects.filter(portfolio=bare.portfolio).exists()


def test_stored_forecasts_are_held_against_what_the_portfolio_made(desk: Desk) -> None:
    forecast(desk, 120)
    values(desk, [-100.01 if at in (3, 4, 50) else -100.0 if at == 60 else 20.0 for at in range(120)])
    test = stored_back_test(portfolio_id=desk.portfolio.pk, method=Method.HISTORICAL, confidence=0.99)
    assert (test.state, test.observations, test.exceptions, test.hypothetical) == (RiskState.OK, 120, 3, False)
    assert [day.session for day in test.days if day.exception] == [SESSIONS[-120:][at] for at in (3, 4, 50)]
    assert test.zone == "yellow"
    assert test.kupiec_p is not None
    assert test.kupiec_p < 0.2


def test_a_session_whose_value_before_is_unknown_is_not_tested(desk: Desk) -> None:
    forecast(desk, 10)
    values(desk, [1.0] * 10)
    PortfolioValue.objects.filter(portfolio_id=desk.portfolio.pk, ts=calendars.session_hours("XNYS", SESSIONS[-5])[1]).delete()
    test = stored_back_test(portfolio_id=desk.portfolio.pk, method=Method.HISTORICAL, confidence=0.99)
    assert {SESSIONS[-5], SESSIONS[-4]}.isdisjoint(day.session for day in test.days)
    assert (test.observations, test.state, test.zone) == (8, RiskState.INSUFFICIENT_DATA, None)


def test_a_change_of_zone_is_told_once(desk: Desk) -> None:
    officer = person(Role.RISK)
    forecast(desk, 100)
    values(desk, [20.0] * 100)
    assert [change.zone for change in zones_update(now=NOW)] == ["green"]
    assert not Alert.objects.filter(code="VAR_ZONE").exists(), "green from the start is no news"
    values(desk, [-500.0 if at % 25 == 0 else 20.0 for at in range(100)])
    (change,) = zones_update(now=NOW)
    assert (change.before, change.zone, change.exceptions, change.session) == ("green", "yellow", 4, LAST)
    assert zones_update(now=NOW) == ()
    alert = Alert.objects.get(code="VAR_ZONE")
    assert (alert.severity, alert.subject) == ("warning", f"portfolio:{desk.portfolio.pk}")
    assert alert.receipts.filter(user=officer).exists()
    assert VarZoneChange.objects.count() == 2


def test_today_s_positions_are_tested_on_history_where_nothing_is_stored(desk: Desk) -> None:
    risk = portfolio_risk_now(portfolio_id=desk.portfolio.pk, now=NOW)
    (test,) = hypothetical_back_tests(risk, (Method.HISTORICAL,), (0.99,))
    assert (test.hypothetical, test.observations, test.state) == (True, 250, RiskState.OK)
    at = -30
    assert test.days[at].var == pytest.approx(-np.quantile(risk.pnl[at - 250 : at], 0.01))
    assert test.days[at].pnl == risk.pnl[at]


def test_the_report_of_now_and_of_a_session(desk: Desk) -> None:
    out = StringIO()
    call_command("risk_report", desk.portfolio.name, "--as-of", "2026-11-18", "--json", stdout=out)
    data, risk = json.loads(out.getvalue()), portfolio_risk_at(portfolio_id=desk.portfolio.pk, session=date(2026, 11, 18))
    assert (data["state"], data["as_of"]) == ("ok", "2026-11-18T21:00:00Z")
    assert data["var"][0]["value"] == risk.var[0].value
    assert risk.values[desk.symbol] == pytest.approx(100 * _close(desk, -2))
    (parts,) = [one for one in data["contributions"] if one["confidence"] == 0.99]
    assert parts["positions"][0]["component"] == pytest.approx(parts["total"])
    before = portfolio_risk_at(portfolio_id=desk.portfolio.pk, session=date(2026, 11, 12))
    assert before.values == {}, "bought on the 15th"
    out = StringIO()
    UserFactory()
    with pytest.raises(SystemExit) as left:
        call_command("risk_report", Desk().portfolio.name, stdout=out)
    assert left.value.code == 3
    assert "no history" in out.getvalue()


def _close(desk: Desk, at: int) -> float:
    return float((100 * np.cumprod(1 + np.random.default_rng(11).normal(0, 0.01, 501)))[at])
