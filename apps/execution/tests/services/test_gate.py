"""The whole gate on the real database and Redis: what A5 adds to limits, each refusal beside the order that passes."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from apps.compliance.models import LocateUse, ShortSaleRestriction
from apps.compliance.services.short_sales import locate_record, short_restrictions_update
from apps.core import clock
from apps.core.check_codes import CheckCode
from apps.core.errors import InvalidInput, NotPermitted
from apps.core.roles import Role
from apps.core.trading import OrderType, Outcome, Side, TimeInForce, WorkingOrder
from apps.execution.models import Order
from apps.execution.selectors.working import surroundings_of, working_orders
from apps.execution.services.gate import gate_check
from apps.execution.services.orders import order_cancel, order_submit
from apps.execution.tests.factories import make_desk, make_user, quote
from apps.marketdata.domain import calendars
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.models import FeedState, Instrument, NamedUniverse, UniverseMember
from apps.marketdata.selectors.quotes import Quote
from apps.marketdata.services.market_status import market_status_record
from apps.marketdata.services.quotes import quotes_publish
from apps.marketdata.tests.factories import store_series
from apps.risk.services.limits import limit_set

WINDOW = {"duplicate_window": "5"}


def gate(desk, *, at=None, **fields):
    return gate_check(intent=desk.intent(**fields), user_id=desk.trader.pk, at=at or clock.now())


def blocked(desk, **fields) -> list[str]:
    return list(gate(desk, **fields).codes)


def daily(desk, *, closes, volume):
    """Daily bars of the last sessions before the market's."""
    days = calendars.calendar_of("XNYS").days
    last = int(np.searchsorted(days, np.datetime64(calendars.session_at("XNYS", clock.now()), "D")))
    close = np.asarray(closes, float)
    store_series(
        BarSeries(
            symbol="AAPL", ts=days[last - len(close) : last].astype("datetime64[us]"), open=close, high=close * 1.01, low=close * 0.99,
            close=close, volume=np.full(len(close), float(volume)),
        )
    )  # fmt: skip


def located(desk, quantity):
    officer = make_user("officer-of-tests", Role.COMPLIANCE)
    return locate_record(
        portfolio_id=desk.portfolio.pk, symbol="AAPL", quantity=quantity, ground="easy", source="list of today", user=officer, at=clock.now()
    )


def bid_and_ask(price, bid, ask):
    now = clock.now()
    instrument = Instrument.objects.get(symbol="AAPL").pk
    quotes_publish(
        quotes=[
            Quote(
                symbol="AAPL", instrument_id=instrument, price=Decimal(price), market_time=now, received_at=now, feed="test", bid=Decimal(bid),
                ask=Decimal(ask), bid_size=Decimal(1000), ask_size=Decimal(1000), quote_time=now, count=1,
            )
        ],
        feed="test",
    )  # fmt: skip


def test_every_check_is_answered_in_the_order_of_the_enum(desk) -> None:
    codes = [check.code for _, check in gate(desk, strategy="s").checks]
    places = [list(CheckCode).index(CheckCode(code)) for code in codes]
    assert places == sorted(places)
    missing = set(CheckCode) - {CheckCode(code) for code in codes}
    foreign = {CheckCode.FX_RATE_MISSING, CheckCode.FX_RATE_STALE}
    optional = {code for code in CheckCode if code.startswith("BOOK_")} | {
        CheckCode.APPROVAL_REQUIRED,
        CheckCode.RATE_LIMIT_DESK,
        CheckCode.NET_EXPOSURE_LIMIT,
        CheckCode.POSITION_SHARE_LIMIT,
        CheckCode.CONCENTRATION_LIMIT,
        CheckCode.SECTOR_LIMIT,
        CheckCode.LEVERAGE_LIMIT,
        CheckCode.LIQUIDITY_LIMIT,
        CheckCode.DAILY_LOSS_LIMIT,
        CheckCode.DRAWDOWN_LIMIT,
        CheckCode.VAR_LIMIT,
        CheckCode.ES_LIMIT,
        CheckCode.STRESS_LIMIT,
        CheckCode.DAY_TRADE_EQUITY,
        CheckCode.INTRADAY_MARGIN,
        CheckCode.INTRADAY_FREEZE,
    }
    assert missing == {CheckCode.MARKET_STATE_UNKNOWN, CheckCode.CHECK_FAILED, *optional, *foreign}


def test_each_check_has_its_authority_of_the_enum(desk) -> None:
    assert {(authority, check.code) for authority, check in gate(desk).checks} <= {(code.authority, str(code)) for code in CheckCode}


def test_v_a5_3_an_identical_order_is_a_duplicate_and_the_same_one_is_the_first(db) -> None:
    desk, at = make_desk(**WINDOW), clock.now()
    quote("AAPL", "100", at=at)
    intent = desk.intent()
    first = order_submit(intent=intent, user=desk.trader, at=at)
    again = desk.submit(at=at + timedelta(seconds=3))
    assert (again.status, again.reason) == ("denied", "DUPLICATE")
    assert order_submit(intent=intent, user=desk.trader, at=at + timedelta(seconds=3)).pk == first.pk
    assert Order.objects.filter(status="filled").count() == 1
    assert desk.submit(at=at + timedelta(seconds=6)).status == "filled"  # five seconds and more after the first


@pytest.mark.parametrize(
    "change",
    [{"quantity": "11"}, {"side": "sell"}, {"time_in_force": "gtc"}, {"order_type": "limit", "limit_price": "100"}],
    ids=["quantity", "side", "time in force", "price"],
)
def test_an_order_that_differs_is_no_duplicate(db, change) -> None:
    desk = make_desk(**WINDOW)
    desk.submit()
    assert "DUPLICATE" not in blocked(desk, **change)
    assert blocked(desk) == ["DUPLICATE"]


def test_a_denied_order_makes_no_duplicate(db) -> None:
    desk = make_desk(order_size="5", **WINDOW)
    assert desk.submit().reason == "ORDER_SIZE_LIMIT"
    assert blocked(desk) == ["ORDER_SIZE_LIMIT"]


def test_sessions_of_a_replay_that_follow_each_other_in_a_second_are_no_duplicates(db) -> None:
    desk = make_desk(**WINDOW)
    order = desk.submit()
    assert order.market_time is not None

    def age(market_time: datetime):
        feed = {"mode": "replay", "market_time": market_time, "session": market_time.date(), "updated_at": order.created_at}
        FeedState.objects.update_or_create(name="test", defaults=feed)
        around = surroundings_of(intent=desk.intent(), at=order.created_at, instead_of=(), algo_id=None)
        assert around.market_time == market_time
        return around.rates.identical_age

    assert age(order.market_time) == 0
    assert age(order.market_time + timedelta(days=1)) == 86_400


def test_the_working_orders_are_those_of_the_database_after_each_change(desk) -> None:
    def beside():
        return surroundings_of(intent=desk.intent(), at=clock.now(), instead_of=(), algo_id=None).working

    assert beside() == ()
    terms = [
        {"order_type": "limit", "limit_price": "90.25", "time_in_force": "gtc"},
        {"order_type": "stop", "stop_price": "120"},
        {"order_type": "stop_limit", "stop_price": "121", "limit_price": "122.5"},
    ]
    orders = [desk.submit(**fields) for fields in terms]
    assert beside() == working_orders(desk.portfolio.pk) == tuple(as_stored(order.pk) for order in orders)
    Order.objects.filter(pk=orders[0].pk).update(cumulative_quantity=Decimal(4))
    assert [order.leaves for order in beside()] == [6, 10, 10]
    assert beside() == tuple(as_stored(order.pk) for order in orders)
    order_cancel(order_id=orders[1].pk, user=desk.trader, at=clock.now())
    assert beside() == tuple(as_stored(orders[n].pk) for n in (0, 2))


def as_stored(order_id: int) -> WorkingOrder:
    """The order by the ORM."""
    order = Order.objects.select_related("instrument").get(pk=order_id)
    return WorkingOrder(
        order_id=order.pk,
        client_order_id=order.client_order_id,
        instrument_id=order.instrument_id,
        symbol=order.instrument.symbol,
        side=Side(order.side),
        leaves=order.leaves_quantity,
        order_type=OrderType(order.order_type),
        time_in_force=TimeInForce(order.time_in_force),
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        book_id=order.book_id,
        currency=order.instrument.currency,
    )


def test_the_average_volume_is_that_of_the_stored_sessions(db) -> None:
    desk = make_desk(adv_share="0.1")
    daily(desk, closes=[100, 100, 100], volume=1000)
    assert blocked(desk, quantity="100") == []
    assert blocked(desk, quantity="101") == ["ADV_LIMIT"]


def test_the_desks_controls_hold_where_a_portfolio_has_none(db) -> None:
    desk = make_desk()
    two = {"user": make_user("desk-risk", Role.RISK), "approver": make_user("second-desk-risk", Role.RISK)}
    now = clock.now()
    limit_set(portfolio_id=None, kind="net_exposure", hard="500", reason="test", **two, active_from=now - timedelta(minutes=1))
    assert blocked(desk) == ["NET_EXPOSURE_LIMIT"]
    assert blocked(desk, quantity="5") == []


@pytest.mark.parametrize(("status", "reason"), [("halted", "T1"), ("paused", "LUDP")])
def test_what_the_exchange_has_stopped_is_not_traded(desk, status, reason) -> None:
    said = {"symbol": "AAPL", "source": "test", "effective_at": clock.now(), "recorded_at": clock.now()}
    assert blocked(desk) == []
    market_status_record(status=status, reason=reason, **said)
    assert blocked(desk) == ["MARKET_HALTED"]
    market_status_record(status="trading", **said | {"effective_at": clock.now()})
    assert blocked(desk) == []


def test_a_halt_begins_in_market_time(desk) -> None:
    at = clock.now()
    market_status_record(symbol="AAPL", status="halted", reason="T1", source="test", effective_at=at + timedelta(minutes=1), recorded_at=at)
    assert gate(desk, at=at).codes == ()
    assert "MARKET_HALTED" in gate(desk, at=at + timedelta(minutes=1)).codes


def test_a_limit_beyond_the_published_band_cannot_trade(desk) -> None:
    at = clock.now()
    market_status_record(symbol="AAPL", status="trading", band=("95", "105"), source="test", effective_at=at, recorded_at=at)
    assert blocked(desk, order_type="limit", limit_price="105") == []
    assert blocked(desk, order_type="limit", limit_price="105.01") == ["PRICE_BAND"]
    assert blocked(desk, order_type="limit", limit_price="94.99") == []  # a buy below the band may wait
    check = next(check for _, check in gate(desk, order_type="limit", limit_price="106").checks if check.code == "PRICE_BAND")
    assert (check.outcome, check.limit, check.after) == (Outcome.BLOCK, 105, 106)


def test_the_tier_of_an_index_member_is_one(db) -> None:
    desk = make_desk(collar_tier_1="0.05", collar_tier_2="0.10")
    assert blocked(desk, order_type="limit", limit_price="106") == []
    universe = NamedUniverse.objects.create(name="large", price_tier=1)
    UniverseMember.objects.create(universe=universe, instrument=desk.instrument)
    assert blocked(desk, order_type="limit", limit_price="106") == ["PRICE_COLLAR"]


def test_a_short_sale_needs_a_locate_and_uses_it(desk) -> None:
    assert blocked(desk, side="sell") == ["SHORT_SALE"]
    located(desk, "15")
    order = desk.submit(side="sell")
    assert order.status == "filled"
    assert LocateUse.objects.get().quantity == 10
    assert blocked(desk, side="sell") == ["SHORT_SALE"]  # five are left
    assert blocked(desk, side="sell", quantity="5") == []


def test_v_a5_1_while_rule_201_restricts_it_a_short_sale_is_priced_above_the_bid(desk) -> None:
    located(desk, "100")
    daily(desk, closes=["20.00"], volume=1_000_000)
    bid_and_ask("18.01", "17.95", "18.05")
    assert blocked(desk, side="sell", order_type="limit", limit_price="17.95") == []
    bid_and_ask("18.00", "17.95", "18.05")
    assert blocked(desk, side="sell", order_type="limit", limit_price="17.95") == ["SHORT_SALE_PRICE"]
    assert blocked(desk, side="sell", order_type="limit", limit_price="17.96") == []
    assert blocked(desk, side="sell") == ["SHORT_SALE_PRICE"]
    desk.submit(quantity="10")
    assert blocked(desk, side="sell") == []  # a long sale is sold as before


def test_the_restriction_holds_for_the_day_and_the_next_session(desk) -> None:
    located(desk, "100")
    bid_and_ask("20", "19.99", "20.01")
    session = calendars.session_at("XNYS", clock.now())
    before = calendars.previous_session("XNYS", session)

    def restrict(day):
        return ShortSaleRestriction.objects.create(
            instrument=desk.instrument, session=day, last_session=calendars.next_session("XNYS", day), prior_close=Decimal(20), price=Decimal(18),
            market_time=clock.now(), recorded_at=clock.now(),
        )  # fmt: skip

    restrict(calendars.previous_session("XNYS", before))
    assert blocked(desk, side="sell") == []
    restrict(before)
    assert blocked(desk, side="sell") == ["SHORT_SALE_PRICE"]


def test_a_fall_is_recorded_once_and_kept_though_the_price_recovers(desk) -> None:
    today = date(2026, 11, 18)
    opened, _ = calendars.session_hours("XNYS", today)
    at = opened + timedelta(hours=1)
    store_series(
        BarSeries(
            symbol="AAPL", ts=np.array([calendars.previous_session("XNYS", today)], "datetime64[us]"), open=np.array([20.0]),
            high=np.array([20.0]), low=np.array([20.0]), close=np.array([20.0]), volume=np.array([1e6]),
        )
    )  # fmt: skip
    quote("AAPL", "18.00", at=at)
    assert [row.last_session for row in short_restrictions_update(at=at)] == [calendars.next_session("XNYS", today)]
    quote("AAPL", "20.00", at=at)
    assert short_restrictions_update(at=at + timedelta(minutes=1)) == []
    assert ShortSaleRestriction.objects.get().price == 18


def test_a_locate_is_documented_by_those_who_may(desk) -> None:
    given = {"portfolio_id": desk.portfolio.pk, "symbol": "AAPL", "quantity": "10", "ground": "easy", "source": "list", "at": clock.now()}
    with pytest.raises(NotPermitted):
        locate_record(user=desk.trader, **given)
    officer = make_user("officer", Role.COMPLIANCE)
    for wrong in ({"quantity": "0"}, {"ground": "hope"}, {"source": " "}):
        with pytest.raises(InvalidInput):
            locate_record(user=officer, **given | wrong)
    assert locate_record(user=officer, **given).session == calendars.session_at("XNYS", clock.now())
