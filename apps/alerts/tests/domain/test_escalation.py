from datetime import UTC, datetime, timedelta

import pytest

from apps.alerts.domain.escalation import REACH, Ladder, next_step

RAISED = datetime(2024, 1, 2, 15, tzinfo=UTC)
LADDER = Ladder(waits=(5, 10), repeat_minutes=30)


def after(*minutes: int) -> list[datetime]:
    return [RAISED + timedelta(minutes=count) for count in minutes]


@pytest.mark.parametrize(
    ("taken", "minutes", "step"),
    [
        ((), 4, None),
        ((), 5, 0),
        ((5,), 14, None),
        ((5,), 15, 1),
        ((5, 15), 44, None),
        ((5, 15), 45, 1),  # the last one again
        ((5, 15, 45), 75, 1),
        ((200,), 205, None),  # a desk that was off goes on where it was
        ((200,), 210, 1),
    ],
)
def test_each_step_counts_from_the_one_before(taken: tuple[int, ...], minutes: int, step: int | None) -> None:
    assert next_step(LADDER, raised_at=RAISED, taken=after(*taken), at=RAISED + timedelta(minutes=minutes)) == step


def test_without_repetition_the_last_step_is_the_last_word() -> None:
    assert next_step(Ladder(waits=(5,)), raised_at=RAISED, taken=after(5), at=RAISED + timedelta(hours=20)) is None


def test_what_is_old_and_a_ladder_without_steps_lead_nowhere() -> None:
    assert next_step(LADDER, raised_at=RAISED, taken=[], at=RAISED + REACH) == 0
    assert next_step(LADDER, raised_at=RAISED, taken=[], at=RAISED + REACH + timedelta(seconds=1)) is None
    assert next_step(Ladder(waits=()), raised_at=RAISED, taken=[], at=RAISED + timedelta(hours=1)) is None
