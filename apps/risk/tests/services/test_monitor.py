"""The live monitor: values on each price, speaks once per level, survives restarts, and agrees with what a page computes."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from unittest.mock import patch

import numpy as np
import pytest
from django.db import OperationalError

from apps.alerts.models import Alert
from apps.core.documents import plain
from apps.core.roles import Role
from apps.core.streams import current_seq, redis_client
from apps.core.trading import TradingState
from apps.marketdata.domain import calendars
from apps.marketdata.models import Instrument
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.services.portfolios import book_get_or_create
from apps.portfolios.tests.factories import CashEntryFactory
from apps.risk.domain.limits import UseState
from apps.risk.domain.risk_numbers import RiskState
from apps.risk.domain.value_at_risk import var_historical
from apps.risk.models import LimitEvent, TradingStateChange
from apps.risk.selectors.facts import PEAKS
from apps.risk.selectors.state import trading_state
from apps.risk.selectors.summary import portfolio_frame, risk_view_now
from apps.risk.services import live_risk
from apps.risk.services.limits import limit_set
from apps.risk.services.monitor import RiskMonitor
from apps.risk.services.state import trading_halt
from apps.risk.tests.factories import NOW, Desk, RiskLimitFactory, person

pytestmark = pytest.mark.django_db


def test_a_price_moves_value_result_and_drawdown(watch) -> None:
    summary = watch.price("98").summary
    assert (summary.equity, summary.daily_pnl, summary.gross) == (99_000, -1_000, 49_000)
    assert (summary.daily_return, summary.drawdown) == (Decimal("-0.01"), Decimal("-0.01"))
    uses = {use.kind: (use.used, use.state) for use in summary.limits}
    assert uses["daily_loss"] == (Decimal("0.01"), UseState.OK)
    assert uses["position_value"] == (49_000, UseState.WARN)
    assert uses["order_rate"] == (None, UseState.PER_ORDER)


def test_the_page_and_the_delta_agree(watch) -> None:
    watch.price("104")
    view = watch.price("99")
    assert view.summary.drawdown == round(Decimal(99_500) / Decimal(102_000) - 1, 12)
    page = risk_view_now(portfolio_id=watch.portfolio_id, now=watch.now)
    ours, theirs = plain(portfolio_frame(view)), plain(portfolio_frame(page))
    assert ours["total"] == "99500.0000"
    ours["risk"].pop("market_time"), theirs["risk"].pop("market_time")  # without a feed's row the page shows wall time
    assert ours == theirs


def test_a_loss_speaks_once_per_level_and_again_after_it_was_well_below(watch) -> None:
    watch.price("96")  # 2 % lost: the soft level
    assert watch.alerts() == [("RISK_LIMIT_WARNING", "daily_loss")]
    watch.price("95.9")
    watch.price("96.4")  # 1.8 %: not yet below nine tenths of 2 %
    watch.price("96")
    assert len(watch.alerts()) == 1
    watch.price("92")  # 4 %: the hard level
    assert watch.alerts()[1:] == [("RISK_LIMIT_BREACH", "daily_loss")]
    watch.price("97")
    watch.price("92", seconds=61)
    assert watch.alerts()[2:] == [("RISK_LIMIT_BREACH", "daily_loss")]
    assert list(LimitEvent.objects.filter(kind="daily_loss").order_by("id").values_list("level", "change")) == [
        ("soft", "raised"),
        ("hard", "raised"),
        ("hard", "cleared"),
        ("soft", "cleared"),
        ("hard", "raised"),
        ("soft", "raised"),
    ]


def test_the_alert_reaches_members_and_risk_managers_with_its_numbers(watch) -> None:
    watch.price("92")
    alert = Alert.objects.get(code="RISK_LIMIT_BREACH")
    assert alert.severity == "critical"
    assert {watch.desk.trader.pk, watch.risk_manager.pk} <= set(alert.receipts.values_list("user_id", flat=True))
    assert (alert.data["used"], alert.data["limit"], alert.data["equity"]) == ("0.040000000000", "0.040000", "96000.0000")


def test_a_restarted_monitor_repeats_nothing(watch) -> None:
    watch.price("92")
    before = watch.alerts()
    watch.monitor = RiskMonitor()
    watch.price("91.9")
    assert watch.alerts() == before


def test_a_drawdown_counts_from_the_highest_seen_live_also_after_a_restart(watch) -> None:
    levels = {"soft": Decimal("0.03"), "hard": Decimal("0.05"), "active_to": NOW + timedelta(days=1)}
    RiskLimitFactory(portfolio_id=watch.portfolio_id, kind="drawdown", **levels)  # of two in force the tighter counts
    watch.price("108")  # 104,000
    watch.monitor = RiskMonitor()
    summary = watch.price("100").summary
    assert summary.drawdown == round(Decimal(100) / Decimal(104) - 1, 12)
    assert ("RISK_LIMIT_WARNING", "drawdown") in watch.alerts()


def test_at_most_four_frames_a_second_and_the_last_price_is_never_lost(watch) -> None:
    watch.price("100")
    seq = current_seq(f"portfolio:{watch.portfolio_id}")
    published = [watch.price(str(100 - n / 10), seconds=0.05) for n in range(1, 13)]
    assert sum(view is not None for view in published) == 2
    assert current_seq(f"portfolio:{watch.portfolio_id}") == seq + 2
    watch.now += timedelta(seconds=0.15)
    assert watch.step().summary.equity == 99_400
    assert watch.step() is None


def test_a_fill_a_deposit_and_a_halt_are_seen_within_a_second(watch) -> None:
    assert watch.price("100").summary.gross == 50_000
    watch.desk.trade(-100, 100)
    CashEntryFactory(portfolio_id=watch.portfolio_id, amount=Decimal(900), effective_at=NOW, source_ref=f"deposit {watch.portfolio_id}")
    trading_halt(portfolio_id=watch.portfolio_id, user=None, reason="Test", at=NOW)
    watch.now += timedelta(seconds=1)
    summary = watch.step().summary
    assert (summary.gross, summary.equity, summary.daily_pnl) == (40_000, 100_900, 0)
    assert summary.trading.state is TradingState.HALTED


def test_a_missing_price_is_unknown_and_raises_no_loss(watch) -> None:
    watch.price("100")
    other = Desk()
    watch.desk.trade(10, 10, instrument=type(other.instrument).objects.create(symbol=f"X{other.symbol}"[:20], name="x", asset_class="stock"))
    watch.now += timedelta(seconds=1)
    summary = watch.step().summary
    assert (summary.equity, summary.daily_return, summary.drawdown) == (None, None, None)
    assert len(summary.missing) == 1
    assert {use.state for use in summary.limits if use.kind in ("daily_loss", "drawdown", "total_exposure")} == {UseState.NO_DATA}
    assert watch.alerts() == []


def test_after_a_database_error_everything_is_loaded_again_and_no_breach_is_missed(watch, monkeypatch) -> None:
    watch.price("100")
    with monkeypatch.context() as broken:

        def away(*args, **kwargs):
            raise OperationalError("server closed the connection")

        broken.setattr("apps.risk.services.limit_events.alert_raise", away)
        with pytest.raises(OperationalError):
            watch.price("92")
    assert LimitEvent.objects.count() == 0
    watch.now += timedelta(seconds=1)
    watch.step()
    assert watch.alerts() == [("RISK_LIMIT_BREACH", "daily_loss")]


def test_a_level_that_swings_tells_people_once_a_minute_and_stores_each_time(watch) -> None:
    for price in ("92", "97", "92", "97", "92"):
        watch.price(price)
    assert [code for code, kind in watch.alerts() if kind == "daily_loss"] == ["RISK_LIMIT_BREACH"]
    hard = LimitEvent.objects.filter(kind="daily_loss", level="hard").order_by("id")
    assert list(hard.values_list("change", "told")) == [
        ("raised", True),
        ("cleared", False),
        ("raised", False),
        ("cleared", False),
        ("raised", False),
    ]
    watch.monitor = RiskMonitor()  # the next monitor knows when people were told
    watch.price("97")
    watch.price("92")
    assert len([code for code, kind in watch.alerts() if kind == "daily_loss"]) == 1


@pytest.mark.parametrize(
    ("action", "state", "flatten"),
    [("warn", TradingState.ACTIVE, False), ("reduce", TradingState.REDUCING, False), ("halt", TradingState.HALTED, False)],
)
def test_the_limit_says_what_the_monitor_does(watch, action, state, flatten) -> None:
    watch.act(action)
    watch.price("96")  # the soft level only tells
    assert trading_state(watch.portfolio_id).state is TradingState.ACTIVE
    watch.price("92")
    view = trading_state(watch.portfolio_id)
    assert (view.state, view.flatten) == (state, flatten)
    if state is not TradingState.ACTIVE:
        assert (view.by, view.reason) == ("risk monitor", "Daily loss 4.00% breaks the limit 4.00%")
        watch.price("97")
        watch.price("91", seconds=61)
        assert TradingStateChange.objects.filter(portfolio_id=watch.portfolio_id).count() == 1  # as strict already


def test_a_monitor_never_loosens_what_a_person_has_halted(watch) -> None:
    watch.act("reduce")
    trading_halt(portfolio_id=watch.portfolio_id, user=None, reason="Test", at=NOW)
    watch.price("92")
    assert (trading_state(watch.portfolio_id).state, trading_state(watch.portfolio_id).reason) == (TradingState.HALTED, "Test")


def test_a_redis_without_prices_crosses_no_level_and_gets_its_peaks_back(watch) -> None:
    watch.price("108")
    watch.price("95")
    before = LimitEvent.objects.count()
    redis_client().flushdb()
    watch.now += timedelta(seconds=6)  # everything is loaded again
    assert watch.step().summary.equity == 97_500
    assert LimitEvent.objects.count() == before
    assert redis_client().hget(PEAKS, str(watch.portfolio_id)).decode().endswith(" 1.040000000000")


def test_a_price_that_came_and_went_between_two_frames_is_a_breach(watch) -> None:
    watch.price("100")
    watch.price("92", seconds=0.06)
    watch.price("100", seconds=0.06)
    assert ("RISK_LIMIT_BREACH", "daily_loss") in watch.alerts()


def test_value_at_risk_is_computed_beside_and_shown_with_the_next_frame(watch, django_assert_num_queries) -> None:
    closes = 100 * np.cumprod(1 + np.random.default_rng(5).normal(0, 0.01, 301))
    start = calendars.sessions("XNYS", date(2025, 1, 1), date(2026, 11, 19))[-301]
    store_series(make_series(watch.desk.symbol, closes.tolist(), start=start))
    assert watch.price("100").summary.live is None  # not computed yet
    watch.monitor.live.compute(watch.now)
    view = watch.price("100")
    found = view.summary.live
    assert (found.state, found.n) == (RiskState.OK, 300)
    assert found.var == pytest.approx(50_000 * var_historical(closes[1:] / closes[:-1] - 1, 0.95))
    assert plain(portfolio_frame(view))["risk"]["live"]["fingerprint"] == found.fingerprint

    watch.price("50")
    watch.monitor.live.compute(watch.now)
    half = watch.price("50").summary.live  # half the price, half the risk, of the same history
    assert (half.var, half.fingerprint) == (pytest.approx(found.var / 2), found.fingerprint)
    watch.desk.trade(100, 50)
    watch.price("50")
    with django_assert_num_queries(0):  # more of the same needs no other history
        watch.monitor.live.compute(watch.now)
    assert watch.price("50").summary.live.var == pytest.approx(half.var * 600 / 500)
    hedge = book_get_or_create(portfolio_id=watch.portfolio_id, name="hedge", recorded_at=watch.now)
    watch.desk.trade(-600, 50, book=hedge)
    watch.price("50")
    watch.monitor.live.compute(watch.now)
    assert not watch.price("50").summary.live.var  # what another book takes back is no risk of the portfolio


def test_numbers_of_a_portfolio_in_which_nothing_moved_are_the_same_of_a_later_moment(watch) -> None:
    closes = 100 * np.cumprod(1 + np.random.default_rng(5).normal(0, 0.01, 301))
    start = calendars.sessions("XNYS", date(2025, 1, 1), date(2026, 11, 19))[-301]
    store_series(make_series(watch.desk.symbol, closes.tolist(), start=start))
    watch.price("100")
    live, first = watch.monitor.live, watch.now
    live.compute(first)
    before = live.take()[watch.portfolio_id]
    later = first + timedelta(seconds=1)
    with patch.object(live_risk, "historical_risk", side_effect=AssertionError("computed again")):
        live.compute(later)
    after = live.take()[watch.portfolio_id]
    assert (before.computed_at, after) == (first, replace(before, computed_at=later))
    assert after.says_the_same(before)
    watch.price("101")
    live.compute(later)
    moved = live.take()[watch.portfolio_id]
    assert moved.var == pytest.approx(before.var * 1.01)
    assert not moved.says_the_same(after)


def test_a_limit_of_value_at_risk_speaks_when_the_number_has_been_computed(watch) -> None:
    closes = 100 * np.cumprod(1 + np.random.default_rng(5).normal(0, 0.01, 301))
    start = calendars.sessions("XNYS", date(2025, 1, 1), date(2026, 11, 19))[-301]
    store_series(make_series(watch.desk.symbol, closes.tolist(), start=start))
    RiskLimitFactory(portfolio_id=watch.portfolio_id, kind="var", hard=Decimal("0.005"))
    use = {one.kind: one for one in watch.price("100").summary.limits}["var"]
    assert (use.used, use.state) == (None, UseState.NO_DATA)
    watch.monitor.live.compute(watch.now)
    view = watch.price("100")
    use = {one.kind: one for one in view.summary.limits}["var"]
    assert float(use.used) == pytest.approx(view.summary.live.var / 100_000)
    assert ("RISK_LIMIT_BREACH", "var") in watch.alerts()


def test_a_control_of_the_desk_holds_for_a_portfolio_without_a_limit_of_the_kind(watch) -> None:
    two = {"user": person(Role.RISK), "approver": person(Role.RISK)}
    limit_set(portfolio_id=None, kind="leverage", hard=Decimal("0.4"), reason="test", active_from=NOW - timedelta(days=1), **two)
    watch.price("100")
    assert ("RISK_LIMIT_BREACH", "leverage") in watch.alerts()


def test_limits_of_a_book_an_instrument_a_sector_and_of_liquidity_speak_each_for_itself(watch) -> None:
    desk = watch.desk
    store_series(make_series(desk.symbol, [100.0] * 30, start=calendars.sessions("XNYS", date(2026, 9, 1), date(2026, 11, 19))[-30], volume=500.0))
    Instrument.objects.filter(pk=desk.instrument.pk).update(sector="energy")
    parts = {
        "total_exposure": {"book_id": desk.book.pk, "hard": "45000"},
        "position_share": {"instrument_id": desk.instrument.pk, "hard": "0.45", "action": "reduce"},
        "sector_share": {"sector": "energy", "hard": "0.4"},
        "liquidity": {"hard": "4"},
    }
    for kind, part in parts.items():
        RiskLimitFactory(portfolio_id=watch.portfolio_id, kind=kind, **(part | {"hard": Decimal(part["hard"])}))
    RiskLimitFactory(portfolio_id=watch.portfolio_id, kind="position_share", hard=Decimal("0.2"))  # the named share is not held to it
    summary = watch.price("100").summary
    assert {use.kind: use.used for use in summary.limits}["liquidity"] == 5  # 500 shares at a fifth of 500 a day
    told = {(event.kind, event.part) for event in LimitEvent.objects.filter(portfolio_id=watch.portfolio_id, level="hard")}
    assert told == {
        ("total_exposure", "book:main"),
        ("position_share", f"instrument:{desk.symbol}"),
        ("sector_share", "sector:energy"),
        ("liquidity", ""),
    }
    titles = list(Alert.objects.filter(code="RISK_LIMIT_BREACH", data__kind="total_exposure").values_list("title", flat=True))
    assert titles == [f"{desk.portfolio.name}: Total exposure of main 50,000.00 breaks the limit 45,000.00"]
    assert trading_state(watch.portfolio_id).state is TradingState.REDUCING
    before = watch.alerts()
    watch.monitor = RiskMonitor()
    watch.price("100")
    assert watch.alerts() == before, "a restarted monitor repeats no part either"


def test_without_a_history_value_at_risk_has_a_state_and_no_number(watch) -> None:
    watch.price("100")
    watch.monitor.live.compute(watch.now)
    found = watch.price("100").summary.live
    assert (found.state, found.var) == (RiskState.NO_HISTORY, None)
