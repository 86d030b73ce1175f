"""Back from a vendor's split-adjusted numbers to what was traded on the day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.providers.shaping import Row

#: A price that went through a division and back is good for so many digits: the four-byte floats of some vendors hold seven.
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Splits:
    """Ex-dates and ratios (new shares per old), in order of date."""

    known: tuple[tuple[date, Decimal], ...] = ()

    @classmethod
    def of(cls, actions: Iterable[ActionRecord]) -> "Splits":
        """The splits among actions."""
        return cls(tuple(sorted((item.ex_date, item.value) for item in actions if item.kind is ActionKind.SPLIT)))

    def ratio_after(self, day: date) -> Decimal:
        """Today's shares for one share of the end of a day: the product of all later ratios."""
        ratio = Decimal(1)
        for ex_date, value in self.known:
            if ex_date > day:
                ratio *= value
        return ratio

    def undo(self, row: Row, day: date) -> Row:
        """A bar of `day` as it was traded: prices to six significant digits, volume to the whole share. Without a later split: as given."""
        ratio = self.ratio_after(day)
        if ratio == 1:
            return row
        opened, high, low, close = (_rounded(value * float(ratio)) for value in row[1:5])
        return Row(row.ts, opened, high, low, close, float(round(row.volume / float(ratio))))

    def undo_amount(self, amount: Decimal, day: date) -> Decimal:
        """An amount per share with ex-date `day`, as it was paid."""
        ratio = self.ratio_after(day)
        return amount if ratio == 1 else Decimal(repr(_rounded(float(amount * ratio))))


def shortest(value: float) -> float:
    """Of a number that fits a four-byte float, the shortest decimal that is the same four-byte float: 310.3500061035156 -> 310.35.

    Any other number had more digits from the beginning, and stays.
    """
    small = np.float32(value)
    return float(str(small)) if float(small) == value else value


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
