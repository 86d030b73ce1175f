"""The controls of the single order: what passes and what blocks differ by one number."""

from dataclasses import replace
from decimal import Decimal

import pytest

from apps.core.trading import Outcome, Side
from apps.risk.domain.controls import collar_kind
from apps.risk.domain.limits import Limit, LimitKind
from apps.risk.tests.domain.test_pretrade import AAPL, blocking, check_of, make_case, make_intent, working


def limited(case, **hard):
    """The case with these limits instead."""
    return replace(
        case, limits={**case.limits, **{LimitKind(kind): Limit(kind=LimitKind(kind), hard=Decimal(level)) for kind, level in hard.items()}}
    )


def test_the_same_order_again_is_a_duplicate_within_the_window() -> None:
    assert blocking(make_case()) == []
    assert blocking(make_case(identical_age=Decimal("5.001"))) == []
    case = make_case(identical_age=Decimal(5))
    assert blocking(case) == ["DUPLICATE"]
    check = check_of(case, "DUPLICATE")
    assert (check.limit, check.before, check.unit) == (5, 5, "seconds")
    assert blocking(limited(case, duplicate_window="4.999")) == []


def test_a_strategy_has_a_rate_of_its_own() -> None:
    def case(count, strategy="momentum"):
        return make_case(intent=replace(make_intent(), strategy=strategy), strategy_orders_last_minute=count)

    assert blocking(case(29)) == []
    assert blocking(case(30)) == ["RATE_LIMIT_ALGO"]
    assert blocking(case(30, strategy="")) == []
    without = case(0)
    assert blocking(replace(without, limits={k: v for k, v in without.limits.items() if k != "strategy_order_rate"})) == ["LIMIT_MISSING"]


def test_the_desk_has_a_rate_beside_the_portfolios() -> None:
    def case(count):
        return make_case(desk_messages_last_minute=count, desk_rate=Limit(kind=LimitKind.ORDER_RATE, hard=Decimal(10)))

    assert blocking(case(9)) == []
    assert blocking(case(10)) == ["RATE_LIMIT_DESK"]
    assert blocking(make_case(desk_messages_last_minute=10)) == []
    leaving = make_case(
        intent=make_intent(side=Side.SELL), desk_messages_last_minute=10, desk_rate=Limit(kind=LimitKind.ORDER_RATE, hard=Decimal(10))
    )
    assert blocking(leaving) == []


def test_shares_and_value_of_one_order_are_limited() -> None:
    assert blocking(limited(make_case(), order_size="100", order_value="10000")) == []
    assert blocking(limited(make_case(), order_size="99")) == ["ORDER_SIZE_LIMIT"]
    assert blocking(limited(make_case(), order_value="9999")) == ["ORDER_VALUE_LIMIT"]


def test_an_order_is_at_most_a_share_of_the_average_volume() -> None:
    assert blocking(make_case(average_volume=Decimal(1000))) == []
    case = make_case(average_volume=Decimal(999))
    assert blocking(case) == ["ADV_LIMIT"]
    assert check_of(case, "ADV_LIMIT").after == Decimal("0.100100")


def test_without_a_known_volume_only_small_orders_pass() -> None:
    assert blocking(limited(make_case(), unknown_adv_value="10000")) == []
    assert blocking(limited(make_case(), unknown_adv_value="9999")) == ["ADV_LIMIT"]


def test_a_reduction_passes_the_sizes_but_no_duplicate_and_no_collar() -> None:
    selling = limited(
        make_case(intent=make_intent(side=Side.SELL, limit="111"), average_volume=Decimal(10), identical_age=Decimal(1)),
        order_size="1", order_value="1", position_value="1", total_exposure="1", net_exposure="1",
    )  # fmt: skip
    assert blocking(selling) == ["DUPLICATE", "PRICE_COLLAR"]
    assert {check_of(selling, code).outcome for code in ("ORDER_SIZE_LIMIT", "ORDER_VALUE_LIMIT", "ADV_LIMIT")} == {Outcome.PASS}


def test_a_second_person_is_asked_by_value_in_the_portfolios_currency_and_never_for_a_reduction() -> None:
    def outcome(case):
        return check_of(limited(case, approval_value="10000"), "APPROVAL_REQUIRED").outcome

    assert outcome(make_case()) == Outcome.PASS
    assert outcome(make_case(rates={AAPL: Decimal("1.01")})) == Outcome.WARN
    leaving = make_case(intent=make_intent(side=Side.SELL), held={AAPL: Decimal(100)}, book_held=Decimal(100), rates={AAPL: Decimal(2)})
    assert outcome(leaving) == Outcome.PASS
    assert outcome(replace(leaving, intent=make_intent(side=Side.SELL, quantity=Decimal(101)))) == Outcome.WARN


@pytest.mark.parametrize(
    ("tier", "price", "kind"),
    [(1, "3.01", "collar_tier_1"), (2, "3.01", "collar_tier_2"), (1, "3.00", "collar_low_price"), (2, "0.10", "collar_low_price")],
)
def test_the_collar_follows_tier_and_price(tier, price, kind) -> None:
    assert collar_kind(tier, Decimal(price)) is LimitKind(kind)


def test_the_collar_is_around_the_middle_of_bid_and_ask() -> None:
    def case(limit, tier=2):
        quoted = replace(make_case().reference, bid=Decimal(79), ask=Decimal(81))
        return make_case(intent=make_intent(limit=limit), reference=quoted, tier=tier)

    assert blocking(case("88")) == []  # ten per cent above 80, not above the last price of 100
    assert blocking(case("88.01")) == ["PRICE_COLLAR"]
    assert blocking(case("84", tier=1)) == []
    assert blocking(case("84.01", tier=1)) == ["PRICE_COLLAR"]


def test_a_crossed_or_one_sided_quote_has_no_middle() -> None:
    reference = make_case().reference
    assert replace(reference, bid=Decimal(99), ask=Decimal(103)).mid == 101
    assert replace(reference, bid=Decimal(99)).mid == 100
    assert replace(reference, bid=Decimal(105), ask=Decimal(103)).mid == 100


def test_net_exposure_counts_where_it_is_limited() -> None:
    # 100 x 100 + 50 x 200 held, working orders for 10 x 100 on either side: 19,000 to 21,000, and 10,000 more
    case = make_case(working_orders=(working(Side.BUY, "10"), working(Side.SELL, "10")))
    assert blocking(limited(case, net_exposure="31000")) == []
    check = check_of(limited(case, net_exposure="30999"), "NET_EXPOSURE_LIMIT")
    assert (check.outcome, check.before, check.after) == (Outcome.BLOCK, 21_000, 31_000)
    short = make_case(held={AAPL: Decimal(-100)}, book_held=Decimal(-100), intent=make_intent(side=Side.SELL), located=Decimal(100))
    assert check_of(limited(short, net_exposure="19999"), "NET_EXPOSURE_LIMIT").after == 20_000


def test_what_is_located_may_be_sold_short() -> None:
    selling = make_case(intent=make_intent(side=Side.SELL, quantity="130"))
    assert blocking(selling) == ["SHORT_SALE"]
    assert blocking(replace(selling, located=Decimal(29))) == ["SHORT_SALE"]
    covered = replace(selling, located=Decimal(30))
    assert blocking(covered) == []
    assert check_of(covered, "SHORT_SALE").after == 0
