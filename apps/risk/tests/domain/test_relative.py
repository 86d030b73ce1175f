"""Checks against the portfolio's value, its market, its book and its losses: success and refusal differ by the number that matters."""

from dataclasses import replace
from decimal import Decimal

import pytest

from apps.core.trading import Outcome, Side
from apps.risk.domain.limits import Limit, LimitKind, LimitScope, ScopedLimit, limits_met
from apps.risk.domain.pretrade import Case
from apps.risk.tests.domain.test_pretrade import AAPL, MSFT, blocking, check_of, limits, make_case, make_intent, working

#: Worth 50,000 cash + 100 x 100 + 50 x 200 = 70,000; the order buys 100 more at 100.
SECTORS = {AAPL: "information_technology", MSFT: "information_technology"}


def with_limit(kind: str, hard: str, **changes) -> Case:
    return make_case(limits=limits(**{kind: hard}), sectors=SECTORS, average_volume=Decimal(10_000), **changes)


@pytest.mark.parametrize(
    ("kind", "code", "enough", "too_little", "before", "after"),
    [
        ("position_share", "POSITION_SHARE_LIMIT", "0.285715", "0.285714", "0.142858", "0.285715"),
        ("concentration", "CONCENTRATION_LIMIT", "0.428572", "0.428571", "0.285715", "0.428572"),
        ("sector_share", "SECTOR_LIMIT", "0.428572", "0.428571", "0.285715", "0.428572"),
        ("leverage", "LEVERAGE_LIMIT", "0.428572", "0.428571", "0.285715", "0.428572"),
        ("liquidity", "LIQUIDITY_LIMIT", "0.1", "0.099999", "0.05", "0.1"),
    ],
)
def test_each_number_is_held_to_its_limit_before_and_after(kind, code, enough, too_little, before, after) -> None:
    assert blocking(with_limit(kind, enough)) == []
    refused = with_limit(kind, too_little)
    assert blocking(refused) == [code]
    check = check_of(refused, code)
    assert (check.limit, check.before, check.after) == (Decimal(too_little), Decimal(before), Decimal(after))
    leaving = with_limit(kind, too_little, intent=make_intent(side=Side.SELL, quantity="40"))
    assert (blocking(leaving), check_of(leaving, code).outcome) == ([], Outcome.PASS)


def test_a_portfolio_worth_nothing_opens_nothing_and_may_leave() -> None:
    for cash in ("-20000", "-20001"):
        broke = make_case(limits=limits(leverage="100", position_share="100"), cash=Decimal(cash))
        assert {"POSITION_SHARE_LIMIT", "LEVERAGE_LIMIT"} <= set(blocking(broke))
        assert blocking(replace(broke, intent=make_intent(side=Side.SELL, quantity="40"))) == []


def test_working_orders_count_as_if_they_filled() -> None:
    case = with_limit("leverage", "0.5", working_orders=(working(Side.BUY, "100"),), cash=Decimal(50_000))
    assert blocking(case) == ["LEVERAGE_LIMIT"]
    assert check_of(case, "LEVERAGE_LIMIT").before == Decimal("0.428572")


def test_an_unknown_sector_is_a_sector_of_its_own() -> None:
    case = with_limit("sector_share", "0.3")
    assert blocking(case) == ["SECTOR_LIMIT"]
    apart = replace(case, sectors={MSFT: "information_technology"})
    assert blocking(apart) == []
    assert check_of(apart, "SECTOR_LIMIT").message.startswith("Share of the sector unknown")


def test_without_a_volume_nobody_knows_how_long_leaving_takes() -> None:
    case = replace(with_limit("liquidity", "100"), average_volume=None)
    assert blocking(case) == ["LIQUIDITY_LIMIT"]
    assert blocking(replace(case, intent=make_intent(side=Side.SELL, quantity="40"))) == []


def test_what_has_no_price_is_blocked_for_that_and_measured_by_nothing() -> None:
    case = with_limit("leverage", "100", prices={AAPL: Decimal(100)}, unpriced=("MSFT",))
    assert blocking(case) == ["PRICE_MISSING"]


BOOK_LIMITS = {
    "position_size": ("BOOK_POSITION_SIZE_LIMIT", "160", "159", 60, 160),
    "position_value": ("BOOK_POSITION_VALUE_LIMIT", "16000", "15999", 6_000, 16_000),
    "total_exposure": ("BOOK_EXPOSURE_LIMIT", "22000", "21999", 12_000, 22_000),
    "net_exposure": ("BOOK_NET_EXPOSURE_LIMIT", "22000", "21999", 12_000, 22_000),
}


@pytest.mark.parametrize("kind", BOOK_LIMITS)
def test_a_book_is_held_to_what_it_holds_alone(kind) -> None:
    code, enough, too_little, before, after = BOOK_LIMITS[kind]

    def case(hard: str, **changes) -> Case:
        limit = Limit(kind=LimitKind(kind), hard=Decimal(hard), scope=LimitScope.BOOK, subject="momentum")
        book = {AAPL: Decimal(60), MSFT: Decimal(30)}
        return make_case(book_limits={limit.kind: limit}, book_quantities=book, book_held=Decimal(60), **changes)

    assert blocking(case(enough)) == []
    assert blocking(case(too_little)) == [code]
    check = check_of(case(too_little), code)
    assert (check.before, check.after) == (before, after)
    assert "in book momentum" in check.message
    elsewhere = (working(Side.BUY, "10", book=2),)
    assert blocking(case(enough, working_orders=elsewhere)) == []
    assert blocking(case(enough, working_orders=(working(Side.BUY, "10"),))) == [code]
    assert blocking(case(too_little, intent=make_intent(side=Side.SELL, quantity="40"))) == []


@pytest.mark.parametrize(("kind", "code"), [("daily_loss", "DAILY_LOSS_LIMIT"), ("drawdown", "DRAWDOWN_LIMIT")])
def test_a_broken_loss_limit_opens_nothing_until_it_is_left(kind, code) -> None:
    case = make_case(limits=limits(**{kind: "0.05"}))
    assert blocking(case) == []
    broken = replace(case, broken={LimitKind(kind): Decimal("0.06")})
    assert blocking(broken) == [code]
    assert (check_of(broken, code).limit, check_of(broken, code).before) == (Decimal("0.05"), Decimal("0.06"))
    assert blocking(replace(broken, intent=make_intent(side=Side.SELL, quantity="40"))) == []


def stored(hard: int, *, own: bool, book: int | None = None, instrument: int | None = None, soft: int | None = None, kind="position_value"):
    limit = Limit(kind=LimitKind(kind), hard=Decimal(hard), soft=None if soft is None else Decimal(soft))
    return ScopedLimit(limit=limit, own=own, book_id=book, instrument_id=instrument)


def test_the_same_number_has_one_limit_and_the_most_specific_is_it() -> None:
    rows = [stored(1, own=False), stored(2, own=True), stored(3, own=False, instrument=AAPL), stored(4, own=True, instrument=AAPL)]
    for count, hard in enumerate((1, 2, 3, 4), start=1):
        for order in (rows[:count], rows[:count][::-1]):
            assert limits_met(order).limits[LimitKind.POSITION_VALUE].hard == hard


def test_other_numbers_all_bind() -> None:
    met = limits_met([stored(2, own=True), stored(5, own=True, book=1), stored(9, own=False, kind="order_value")])
    assert {kind: limit.hard for kind, limit in met.limits.items()} == {LimitKind.POSITION_VALUE: 2, LimitKind.ORDER_VALUE: 9}
    assert met.book[LimitKind.POSITION_VALUE].hard == 5


def test_of_two_of_one_scope_neither_can_be_passed() -> None:
    met = limits_met([stored(10, own=True, soft=3), stored(8, own=True, soft=5), stored(9, own=True)])
    assert (met.limits[LimitKind.POSITION_VALUE].hard, met.limits[LimitKind.POSITION_VALUE].soft) == (8, 3)
