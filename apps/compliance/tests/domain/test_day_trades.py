"""Day trades, their window and the levels of intraday margin beyond the vectors of fixtures/vectors/compliance.json."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from apps.compliance.domain.day_trades import Fill, day_trades, day_trades_count, most_day_trades, trading_day, window_begins
from apps.compliance.domain.intraday_margin import maintenance, worst_level
from apps.compliance.domain.regimes import AccountTerms, AccountType, Regime, default_regime
from apps.core.errors import InvalidInput

MONDAY = date(2026, 3, 2)


def fills(text: str, day: date = MONDAY) -> list[Fill]:
    sign = {"B": 1, "S": -1}
    return [Fill(security=1, quantity=sign[word[0]] * Decimal(word[1:]), day=day, order=place) for place, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("done", "pending", "overnight", "most"),
    [
        ("", "B10", 0, 0),
        ("", "B10 S10", 0, 1),
        ("B10", "S10", 0, 1),
        ("B10", "S5 S5", 0, 1),  # both exits of a bracket: they merge
        ("", "S10", 10, 0),  # held overnight
        ("", "S10 B10", 10, 1),  # the purchase may trade first
        ("", "B10 S10", -10, 1),
        ("B10", "S5 B5 S5", 0, 2),
        ("B10 S10", "S10 B10", 0, 2),
    ],
)
def test_orders_that_may_still_trade_count_at_their_worst(done, pending, overnight, most) -> None:
    assert most_day_trades(fills(done), fills(pending), Decimal(overnight)) == most


def test_what_a_day_leaves_is_overnight_on_the_next() -> None:
    two = [*fills("B10"), *fills("S10 B5 S5", date(2026, 3, 3))]
    assert day_trades(two, {}) == {(1, MONDAY): 0, (1, date(2026, 3, 3)): 1}


def test_the_window_is_five_business_days_of_the_exchange() -> None:
    assert window_begins(date(2026, 11, 20)) == date(2026, 11, 16)
    assert window_begins(date(2026, 11, 30)) == date(2026, 11, 23)  # Thanksgiving is none: 23, 24, 25, 27, 30
    assert window_begins(date(2026, 7, 7)) == date(2026, 6, 30)  # 3 July is kept for Independence Day


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 3, 3, 0, 30, tzinfo=UTC), date(2026, 3, 2)),  # 19:30 in New York
        (datetime(2026, 3, 3, 1, 30, tzinfo=UTC), date(2026, 3, 3)),  # 20:30: it trades tomorrow
        (datetime(2026, 7, 7, 0, 30, tzinfo=UTC), date(2026, 7, 7)),  # 20:30 in summer
        (datetime(2026, 7, 6, 23, 30, tzinfo=UTC), date(2026, 7, 6)),
        (datetime(2026, 3, 7, 17, tzinfo=UTC), date(2026, 3, 9)),  # a Saturday
    ],
)
def test_an_order_trades_on_a_day_of_the_exchange(moment, day) -> None:
    assert trading_day(moment) == day


@pytest.mark.parametrize("change", [{"quantity": "nan"}, {"quantity": 0}, {"side": "up"}, {"time": "2026-03-02T10:00"}, {"time": "noon"}])
def test_what_is_no_fill_is_refused(change) -> None:
    fill = {"symbol": "X", "side": "BUY", "quantity": 1, "time": "2026-03-02T10:00:00-05:00"}
    assert day_trades_count([fill])["count"] == 0
    with pytest.raises(InvalidInput):
        day_trades_count([fill | change])


@pytest.mark.parametrize(
    ("quantity", "price", "wanted"), [("100", "10", "250"), ("-100", "20", "600"), ("-100", "5", "500"), ("-100", "4", "400"), ("-100", "2", "250")]
)
def test_maintenance(quantity, price, wanted) -> None:
    assert maintenance(Decimal(quantity), Decimal(price)) == Decimal(wanted)


def test_the_level_counts_the_orders_that_lower_it_most() -> None:
    """1,000 in cash and 100 shares at 10: a close lowers nothing, what opens does."""
    account = {"cash": Decimal(1000), "held": {1: Decimal(100)}, "prices": {1: Decimal(10), 2: Decimal(20)}}
    assert worst_level(**account, may=[]) == 1750
    assert worst_level(**account, may=[(1, Decimal(-100))]) == 1750
    assert worst_level(**account, may=[(1, Decimal(100))]) == 1500
    assert worst_level(**account, may=[(2, Decimal(-10)), (1, Decimal(-100))]) == 1690
    with pytest.raises(KeyError):
        worst_level(**account, may=[(3, Decimal(1))])


def test_which_rules_hold_when() -> None:
    legacy = AccountTerms(account_type=AccountType.MARGIN, regime=Regime.PDT_LEGACY, confirmed_on=date(2026, 6, 10))
    assert legacy.rules(date(2001, 9, 27)) == ()
    assert legacy.rules(date(2027, 10, 20)) == ("US-4210-IML", "US-4210-PDT-HOUSE")
    assert legacy.rules(date(2027, 10, 21)) == ("US-4210-IML",)
    assert AccountTerms(account_type=AccountType.CASH, regime=None).rules(date(2020, 1, 2)) == ()
    assert [default_regime(day) for day in (date(2026, 6, 3), date(2026, 6, 4))] == [Regime.PDT_LEGACY, Regime.INTRADAY_MARGIN]
