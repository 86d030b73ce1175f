"""When a limit speaks: once when its number crosses a level, and again only after it has been well below, and not too soon."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from apps.risk.domain.limits import Limit, exceeds

#: A level is armed again below this share of itself.
REARM_SHARE = Decimal("0.9")
#: A level that swings through its whole hysteresis again and again tells people once in this time. It is stored and acted on each time.
COOL_DOWN = timedelta(seconds=60)


class Level(StrEnum):
    SOFT = "soft"
    HARD = "hard"


class Change(StrEnum):
    RAISED = "raised"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A level that was crossed (RAISED) or that is armed again (CLEARED); `used` and `limit` in the kind's unit."""

    level: Level
    change: Change
    used: Decimal
    limit: Decimal


def crossings(limit: Limit, used: Decimal, raised: frozenset[Level], *, whole: bool = True) -> tuple[frozenset[Level], tuple[Crossing, ...]]:
    """What happens to a limit whose number is now `used`, given the levels that are `raised`: the levels raised after it, and what to tell.

    What is not the `whole` number, a part of it being unknown, raises levels and clears none: nobody knows that it has fallen.
    A jump over both levels tells of the hard one only; the soft one is raised silently with it.
    """
    after, told = set(raised), []
    for level, bound in ((Level.HARD, limit.hard), (Level.SOFT, limit.soft)):
        if bound is None:
            after.discard(level)
        elif level not in raised and exceeds(limit.kind, used, bound):
            after.add(level)
            if not (level is Level.SOFT and Level.HARD in after):
                told.append(Crossing(level=level, change=Change.RAISED, used=used, limit=bound))
        elif whole and level in raised and used < bound * REARM_SHARE:
            after.discard(level)
            told.append(Crossing(level=level, change=Change.CLEARED, used=used, limit=bound))
    return frozenset(after), tuple(told)


def is_news(last_told: datetime | None, at: datetime) -> bool:
    """Whether people are told of a level raised at `at`, the last telling of the same level having been at `last_told` (None: never)."""
    return last_told is None or at - last_told >= COOL_DOWN
