"""Utilisation, hysteresis, drawdown from daily values, and which of two states holds."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.core.trading import TradingState
from apps.risk.domain.hysteresis import Change, Level, crossings, is_news
from apps.risk.domain.limits import Limit, LimitKind, UseState, limit_use
from apps.risk.domain.performance import DailyValue, standing, track_record
from apps.risk.domain.state import StateView, stricter

LOSS = Limit(kind=LimitKind.DAILY_LOSS, soft=Decimal("0.02"), hard=Decimal("0.04"))


@pytest.mark.parametrize(
    ("kind", "used", "state"),
    [
        (LimitKind.TOTAL_EXPOSURE, "70", UseState.OK),
        (LimitKind.TOTAL_EXPOSURE, "90", UseState.OK),
        (LimitKind.TOTAL_EXPOSURE, "90.01", UseState.WARN),
        (LimitKind.TOTAL_EXPOSURE, "100", UseState.WARN),
        (LimitKind.TOTAL_EXPOSURE, "100.01", UseState.BREACH),
        (LimitKind.DRAWDOWN, "90", UseState.WARN),
        (LimitKind.DRAWDOWN, "100", UseState.BREACH),
    ],
)
def test_a_limit_warns_from_nine_tenths_and_a_loss_breaks_it_by_reaching_it(kind, used, state) -> None:
    assert limit_use(Limit(kind=kind, hard=Decimal(100)), Decimal(used)).state is state


def test_an_unknown_number_is_never_ok() -> None:
    assert limit_use(LOSS, None).state is UseState.NO_DATA
    assert limit_use(Limit(kind=LimitKind.ORDER_RATE, hard=Decimal(5)), None).state is UseState.PER_ORDER


def walk(*used: str):
    """What is told at each number, one after the other."""
    raised, told = frozenset(), []
    for number in used:
        raised, news = crossings(LOSS, Decimal(number), raised)
        told.append([(crossing.level, crossing.change) for crossing in news])
    return told


def test_a_level_speaks_once_and_again_only_after_falling_below_nine_tenths() -> None:
    assert walk("0.019", "0.02", "0.021", "0.0181", "0.02", "0.0179", "0.02") == [
        [],
        [(Level.SOFT, Change.RAISED)],
        [],
        [],
        [],
        [(Level.SOFT, Change.CLEARED)],
        [(Level.SOFT, Change.RAISED)],
    ]


def test_a_jump_over_both_levels_tells_of_the_hard_one_only() -> None:
    assert walk("0.05", "0.05", "0.03", "0.045") == [
        [(Level.HARD, Change.RAISED)],
        [],
        [(Level.HARD, Change.CLEARED)],
        [(Level.HARD, Change.RAISED)],
    ]


def test_a_number_of_which_a_part_is_unknown_raises_levels_and_clears_none() -> None:
    raised, news = crossings(LOSS, LOSS.hard, frozenset(), whole=False)
    assert Level.HARD in raised
    assert [one.change for one in news] == [Change.RAISED]
    assert crossings(LOSS, Decimal(0), raised, whole=False) == (raised, ())
    assert crossings(LOSS, Decimal(0), raised)[0] == frozenset()


def test_a_use_of_which_a_part_is_unknown_is_a_breach_or_nothing_that_can_be_trusted() -> None:
    low, high = (limit_use(LOSS, LOSS.hard * Decimal(share), not_known="half of it") for share in ("0.5", "1.1"))
    assert (low.state, low.utilisation, low.not_known) == (UseState.NO_DATA, Decimal("0.5"), "half of it")
    assert "at least 50%" in low.text
    assert high.state is UseState.BREACH


def test_deposits_make_no_profit_and_no_drawdown() -> None:
    values = [DailyValue(total=Decimal(t), flow=Decimal(f)) for t, f in ((100, 100), (110, 0), (210, 100), (189, 0))]
    record = track_record(values)
    assert (record.last_total, record.wealth, record.peak) == (189, Decimal("0.99"), Decimal("1.1"))
    stand = standing(record, total=Decimal("278"), flow=Decimal(100))
    assert stand.daily_pnl == -11
    assert stand.daily_return == Decimal(278) / 289 - 1
    assert stand.drawdown == stand.wealth / Decimal("1.1") - 1
    assert standing(record, total=Decimal("278"), flow=Decimal(100), peak=Decimal(2)).drawdown < stand.drawdown


def test_without_a_positive_base_there_is_no_number() -> None:
    assert track_record([]) is None
    assert track_record([DailyValue(total=Decimal(0), flow=Decimal(0))]) is None
    record = track_record([DailyValue(total=Decimal(100), flow=Decimal(100))])
    assert standing(record, total=Decimal(0), flow=Decimal(-100)) is None


def view(state: TradingState, scope: int | None) -> StateView:
    return StateView(state=state, scope=scope)


@pytest.mark.parametrize(
    ("own", "desk", "scope"),
    [
        ("active", "active", 1),
        ("halted", "active", 1),
        ("active", "reducing", None),
        ("reducing", "halted", None),
        ("halted", "halted", None),
        ("halted", "reducing", 1),
    ],
)
def test_the_stricter_state_holds(own, desk, scope) -> None:
    held = stricter(view(TradingState(own), 1), view(TradingState(desk), None))
    assert held.scope == scope


def test_people_are_told_of_the_same_level_once_a_minute() -> None:
    at = datetime(2026, 11, 20, 15, tzinfo=UTC)
    assert is_news(None, at)
    assert not is_news(at - timedelta(seconds=59), at)
    assert is_news(at - timedelta(seconds=60), at)
