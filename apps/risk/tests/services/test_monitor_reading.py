"""What the live monitor reads again, and when: no price waits for it, and nothing that has changed is overlooked."""

from datetime import timedelta

import pytest

from apps.core.trading import TradingState
from apps.portfolios.models import Portfolio, PortfolioStatus
from apps.risk.domain.limits import LimitKind
from apps.risk.models import MonitorState
from apps.risk.selectors.facts import facts_revision, risk_facts
from apps.risk.services import monitor as monitors
from apps.risk.services.monitor import RiskMonitor
from apps.risk.services.monitor_state import monitor_take
from apps.risk.services.state import trading_halt
from apps.risk.tests.factories import NOW, Desk, RiskLimitFactory

pytestmark = pytest.mark.django_db


def test_only_what_changed_and_a_part_of_the_rest_is_read_while_prices_wait(watch, monkeypatch) -> None:
    others = [Desk() for _ in range(40)]
    watch.step()
    read: list[list[int]] = []
    monkeypatch.setattr(monitors, "risk_facts", lambda ids, **given: read.append(list(ids)) or risk_facts(ids, **given))
    for_a_while = {"active_from": NOW + timedelta(seconds=7), "active_to": NOW + timedelta(days=1)}
    RiskLimitFactory(portfolio_id=others[20].portfolio.pk, kind="total_exposure", hard=1, **for_a_while)
    for _ in range(48):  # twelve seconds
        watch.now += monitors.LOOK_EVERY
        watch.step()
    assert read == [[others[20].portfolio.pk]] * 2  # it has a limit to come, and only time put that in force
    assert watch.monitor.facts[others[20].portfolio.pk].limits[LimitKind.TOTAL_EXPOSURE].hard == 1

    read.clear()
    for _ in range(240 + 48):  # until all have been read again within a minute
        watch.now += monitors.LOOK_EVERY
        watch.step()
    assert sorted(read) == [[one] for one in sorted(watch.monitor.facts)]

    read.clear()
    trading_halt(portfolio_id=None, user=None, reason="Test", at=NOW)
    late = Desk().portfolio.pk
    watch.now += monitors.LOOK_EVERY
    watch.step()
    assert sorted(one for part in read for one in part) == sorted(watch.monitor.facts)
    assert late in watch.monitor.facts
    assert {one.state.state for one in watch.monitor.facts.values()} == {TradingState.HALTED}


def test_what_is_committed_after_something_newer_is_noticed_within_five_seconds(watch) -> None:
    watch.price("100")
    watch.desk.trade(-100, 100)
    trading_halt(portfolio_id=watch.portfolio_id, user=None, reason="Test", at=NOW)
    watch.monitor._revision = facts_revision()  # a later transaction was quicker, and the monitor has seen that one
    watch.now += monitors.LOOK_EVERY
    watch.step()
    assert watch.monitor.facts[watch.portfolio_id].state.state is TradingState.ACTIVE
    watch.now += monitors.COMPARE_EVERY
    summary = watch.step().summary
    assert (summary.gross, summary.trading.state) == (40_000, TradingState.HALTED)


def test_a_price_that_was_announced_while_redis_was_away_is_noticed_within_five_seconds(watch) -> None:
    watch.price("100")
    watch.desk.price("92", at=watch.now)  # stored, and never heard
    watch.now += monitors.COMPARE_EVERY
    watch.step()
    assert watch.alerts() == [("RISK_LIMIT_BREACH", "daily_loss")]


def test_a_portfolio_that_is_opened_or_closed_is_noticed_within_five_seconds(watch) -> None:
    watch.step()
    other = Desk().portfolio.pk
    watch.now += monitors.COMPARE_EVERY
    watch.step()
    assert other in watch.monitor.facts
    Portfolio.objects.filter(pk=other).update(status=PortfolioStatus.CLOSED)
    watch.now += monitors.COMPARE_EVERY
    watch.step()
    assert other not in watch.monitor.facts


def test_a_successor_in_the_same_session_does_not_record_the_closes_again(watch, monkeypatch) -> None:
    first = RiskMonitor(monitor_take(watch.now))
    recorded: list[object] = []
    monkeypatch.setattr(monitors, "portfolio_values_catch_up", lambda **given: recorded.append(given["market_time"]))
    first.step(watch.now)
    assert len(recorded) == 1
    RiskMonitor(monitor_take(watch.now)).step(watch.now)
    assert len(recorded) == 1
    MonitorState.objects.update(session=NOW.date() - timedelta(days=1))
    RiskMonitor(monitor_take(watch.now)).step(watch.now)
    assert len(recorded) == 2
