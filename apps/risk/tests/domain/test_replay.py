"""The replay of a limit over stored numbers says what the checks themselves say: brute force is the judge."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from apps.core.trading import Check, Outcome, Side
from apps.risk.domain.limits import Limit, LimitKind, LimitScope, ScopedLimit
from apps.risk.domain.pretrade import Case, order_checks
from apps.risk.domain.pretrade_risk import RiskImpact
from apps.risk.domain.replay import BOOK_CODES, CODES, JudgedOrder, StandingLimit, replay
from apps.risk.domain.risk_numbers import RiskState
from apps.risk.tests.domain.test_pretrade import AAPL, MSFT, NOW, limits, make_case, make_intent, working
from apps.risk.tests.domain.test_tail_limits import impact

KINDS = ("net_exposure", "position_share", "concentration", "sector_share", "leverage", "liquidity", "var", "expected_shortfall", "stress_loss")
WIDE = dict.fromkeys(KINDS, "1000000")


def some_case(random: Random) -> Case:
    """Any order of a small portfolio, under wide limits of every kind."""
    side = random.choice([Side.BUY, Side.SELL])
    held = {AAPL: Decimal(random.randint(-200, 400)), MSFT: Decimal(random.randint(0, 300))}
    book = {AAPL: held[AAPL] - random.randint(0, 50), MSFT: Decimal(random.randint(0, 100))}
    intent = replace(
        make_intent(side=side, quantity=str(random.randint(1, 400)), limit=random.choice([None, "97", "104"]), book=random.choice([1, 2])),
        strategy=random.choice(["", "momentum"]),
    )
    orders = tuple(
        working(random.choice([Side.BUY, Side.SELL]), str(random.randint(1, 100)), instrument=random.choice([AAPL, MSFT]), book=random.choice([1, 2]))
        for _ in range(random.randint(0, 3))
    )
    wide = {LimitKind(kind): Limit(kind=LimitKind(kind), hard=Decimal(10**6), scope=LimitScope.BOOK, subject="b") for kind in BOOK_CODES}
    return make_case(
        intent=intent,
        working_orders=orders,
        orders_last_minute=random.randint(0, 70),
        symbol_orders_last_minute=random.randint(0, 30),
        strategy_orders_last_minute=random.randint(0, 40),
        cash=Decimal(random.randint(-80_000, 80_000)),
        held=held,
        book_held=book[AAPL],
        book_quantities=book,
        average_volume=random.choice([None, Decimal(random.randint(500, 5_000))]),
        limits=limits(**WIDE),
        book_limits=wide,
        sectors={AAPL: "information_technology", MSFT: random.choice(["information_technology", "energy"])},
        impact=some_impact(random),
    )


def some_impact(random: Random) -> RiskImpact:
    """Losses around the levels, that rise or fall, and now and then one that is not known or a portfolio that is worth nothing."""
    found = impact(random.uniform(0, 60_000), random.uniform(0, 60_000), equity=random.choice([100_000.0, 100_000.0, 0.0]))
    return random.choice([found, found, impact(None, None, state=RiskState.NO_HISTORY)])


def judged(number: int, case: Case, code: str) -> JudgedOrder:
    check = next((check for check in order_checks(case) if check.code == code), None)
    return stored(number, check, book_id=case.intent.book_id, strategy=case.intent.strategy)


def stored(number: int, check: Check | None, *, book_id: int = 1, portfolio_id: int = 1, strategy: str = "") -> JudgedOrder:
    fields = {"order_id": number, "portfolio_id": portfolio_id, "book_id": book_id, "instrument_id": AAPL, "symbol": "AAPL"}
    return JudgedOrder(**fields, sector="information_technology", strategy=strategy, decided_at=NOW + timedelta(seconds=number), check=check)


#: Levels around which the cases above divide.
LEVELS = {
    "fraction": ("0.05", "0.2", "0.5", "1"), "times": ("0.3", "0.8"), "days": ("0.3", "1"), "shares": ("100", "250"),
    "USD": ("9000", "30000"), "orders/min": ("20", "35"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "of_book"), [(kind, False) for kind in CODES] + [(kind, True) for kind in BOOK_CODES])
def test_the_replay_equals_brute_force(kind, of_book) -> None:
    random = Random(f"{kind} {of_book}")
    cases = [some_case(random) for _ in range(120)]
    code = (BOOK_CODES if of_book else CODES)[kind]
    said: set[Outcome | None] = set()
    for hard in map(Decimal, LEVELS[kind.unit]):
        limit = Limit(kind=kind, hard=hard, soft=hard * Decimal("0.7"), scope=LimitScope.BOOK if of_book else LimitScope.PORTFOLIO, subject="b")
        proposed = ScopedLimit(limit=limit, own=True, book_id=1 if of_book else None)
        found = replay(proposed, portfolio_id=1, standing=(), orders=[judged(n, case, code) for n, case in enumerate(cases)])
        outcomes = {one.order.order_id: one.outcome for one in found.orders}
        brute = {}
        for number, case in enumerate(cases):
            held_to = case if of_book and case.intent.book_id != 1 else _with(case, limit, of_book=of_book)
            check = next((check for check in order_checks(held_to) if check.code == code and check.limit == hard), None)
            if check is not None and check.unit == kind.unit:
                brute[number] = check.outcome
        assert outcomes == brute
        said |= set(outcomes.values())
    assert {Outcome.PASS, Outcome.BLOCK} <= said  # the levels divide the cases


def _with(case: Case, limit: Limit, *, of_book: bool) -> Case:
    if of_book:
        return replace(case, book_limits={**case.book_limits, limit.kind: limit})
    rest = {kind: one for kind, one in case.limits.items() if kind is not LimitKind.PRICE_COLLAR or limit.kind is not LimitKind.PRICE_COLLAR}
    tiers = {LimitKind.COLLAR_TIER_1, LimitKind.COLLAR_TIER_2, LimitKind.COLLAR_LOW_PRICE}
    wide = {kind: replace(one, hard=Decimal(10)) if kind in tiers else one for kind, one in rest.items()}
    return replace(case, limits={**wide, limit.kind: limit})


def value_check(after: str | None, outcome: Outcome = Outcome.PASS, message: str = "") -> Check:
    number = None if after is None else Decimal(after)
    return Check(code="POSITION_VALUE_LIMIT", outcome=outcome, message=message, unit="USD", limit=Decimal(100), before=number, after=number)


def proposed(hard: str, **scope) -> ScopedLimit:
    return ScopedLimit(limit=Limit(kind=LimitKind.POSITION_VALUE, hard=Decimal(hard)), own=True, **scope)


def standing(**scope) -> StandingLimit:
    fields = {"portfolio_id": None, "book_id": None, "instrument_id": None, "sector": ""} | scope
    return StandingLimit(kind=LimitKind.POSITION_VALUE, **fields)


def test_what_nobody_has_measured_is_unknown_and_what_could_not_be_is_blocked() -> None:
    orders = [stored(1, None), stored(2, value_check(None, Outcome.BLOCK)), stored(3, value_check("80")), stored(4, value_check("20"))]
    found = replay(proposed("50"), portfolio_id=1, standing=(), orders=orders)
    assert [found.count(what) for what in (None, Outcome.BLOCK, Outcome.PASS)] == [1, 2, 1]
    assert ([one.order.order_id for one in found.blocked], found.newly_blocked) == ([3, 2], 1)
    assert replay(proposed("50"), portfolio_id=1, standing=(), orders=orders, ends=True).blocked == ()


@pytest.mark.parametrize(
    ("portfolio_id", "scope", "others", "concerned"),
    [
        (1, {}, [], [1]),
        (None, {}, [], [1, 2]),
        (None, {}, [standing(portfolio_id=1)], [2]),
        (1, {}, [standing(instrument_id=AAPL)], []),
        (1, {}, [standing(instrument_id=MSFT)], [1]),
        (None, {"instrument_id": AAPL}, [standing(portfolio_id=1)], [1, 2]),
        (1, {"instrument_id": AAPL}, [standing(instrument_id=AAPL), standing(portfolio_id=1)], [1]),
        (1, {"instrument_id": MSFT}, [], []),
        (1, {"book_id": 1}, [standing(instrument_id=AAPL)], [1]),
        (1, {"book_id": 7}, [], []),
    ],
)
def test_a_limit_concerns_the_orders_for_which_no_more_specific_one_stands(portfolio_id, scope, others, concerned) -> None:
    orders = [stored(number, value_check("80"), portfolio_id=number) for number in (1, 2)]
    limit = replace(proposed("50", **scope), own=portfolio_id is not None)
    found = replay(limit, portfolio_id=portfolio_id, standing=others, orders=orders)
    assert sorted(one.order.order_id for one in found.orders) == concerned
