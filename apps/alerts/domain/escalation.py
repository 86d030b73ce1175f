"""When an alert that nobody acknowledges goes to the next person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

#: An alert that is older is no longer escalated: whoever works on it has found it by now, or it no longer matters.
REACH = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """`waits` are the minutes before each step, counted from the step before (the first from the alert). After the last step it is said
    again to the same people every `repeat_minutes`; None: the last step is the last word."""

    waits: tuple[int, ...]
    repeat_minutes: int | None = None


def next_step(ladder: Ladder, *, raised_at: datetime, taken: Sequence[datetime], at: datetime) -> int | None:
    """Position (from 0) of the step that is due at `at`, None while none is. `taken` are the moments of the steps so far, in order.

    One step at a time, each counted from the one before: a desk that was switched off goes on where it was and does not run up the ladder.
    """
    if not ladder.waits or at - raised_at > REACH:
        return None
    before = taken[-1] if taken else raised_at
    if len(taken) < len(ladder.waits):
        return len(taken) if at - before >= timedelta(minutes=ladder.waits[len(taken)]) else None
    if ladder.repeat_minutes is None:
        return None
    return len(ladder.waits) - 1 if at - before >= timedelta(minutes=ladder.repeat_minutes) else None
