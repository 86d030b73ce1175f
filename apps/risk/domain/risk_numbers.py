"""What a number of risk is: its value, what stands behind it, or in a word why there is none."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput

Numbers = NDArray[np.float64]
Rows = NDArray[np.intp]

#: Observations that a published number needs at 95 % and below, and above [desk practice]; a measure by itself computes from any number.
LEAST_OBSERVATIONS, LEAST_IN_FAR_TAIL = 100, 250

#: Results that a matrix keeps for those who ask for the same again.
DERIVED_KEPT = 8


class RiskState(StrEnum):
    """Whether a number can be relied on. Only OK and PRICE_STALE come with one, and only OK lets new risk in."""

    OK = "ok"
    INSUFFICIENT_DATA = "insufficient_data"
    PRICE_MISSING = "price_missing"
    PRICE_STALE = "price_stale"
    NO_HISTORY = "no_history"

    @property
    def has_value(self) -> bool:
        return self in (RiskState.OK, RiskState.PRICE_STALE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskNumber:
    """One number with what it was made of. `value` is None unless the state has one.

    `confidence` is None where there is none; `horizon` in sessions; `window` is how many sessions were asked for and `n` how many
    observations were used; `as_of` is the market's time or the last session; `fingerprint` names the data; `note` says what a reader
    has to know besides ("scaled", "no loss", "outside the domain of the expansion").
    """

    value: float | None
    state: RiskState
    method: str
    confidence: float | None
    horizon: int
    window: int
    n: int
    as_of: date
    fingerprint: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReturnMatrix:
    """Simple daily returns of N symbols over T sessions: `dates` datetime64[D] [T] ascending, `returns` float64 [T, N], NaN where a symbol
    has none; `fingerprint` is equal for equal data. Arrays are never written to: what is derived from them is kept.

    Raises InvalidInput for shapes that do not fit, a symbol that is given twice and an infinite return.
    """

    symbols: tuple[str, ...]
    dates: NDArray[np.datetime64]
    returns: Numbers
    fingerprint: str

    def __post_init__(self) -> None:
        if self.returns.shape != (len(self.dates), len(self.symbols)):
            raise InvalidInput(f"{len(self.dates)} dates and {len(self.symbols)} symbols do not fit {self.returns.shape}", field="returns")
        if len(set(self.symbols)) != len(self.symbols):
            raise InvalidInput("a symbol is given twice", field="symbols")
        if np.isinf(self.returns).any():
            raise InvalidInput("a return is infinite", field="returns")

    def __len__(self) -> int:
        return len(self.dates)

    @cached_property
    def columns(self) -> dict[str, int]:
        """Column of each symbol."""
        return {symbol: column for column, symbol in enumerate(self.symbols)}

    @cached_property
    def gaps(self) -> tuple[Rows, Rows]:
        """Rows and columns of what is missing."""
        rows, columns = np.nonzero(np.isnan(self.returns))
        return rows, columns

    @cached_property
    def filled(self) -> Numbers:
        """The returns with 0 for what is missing, for sums over rows in which nothing is missing that counts."""
        return np.nan_to_num(self.returns) if self.gaps[0].size else self.returns

    @cached_property
    def observed(self) -> Rows:
        """How many returns each symbol has [N]."""
        return np.asarray(len(self) - np.bincount(self.gaps[1], minlength=len(self.symbols)))

    @cached_property
    def derived(self) -> dict[tuple[str, bytes, bytes], Any]:
        """What others have derived from the matrix and keep with it, by a name, rows and columns: the positions' sizes are in none of it."""
        return {}

    def derive(self, name: str, rows: Rows, columns: Rows, make: Callable[[], Any]) -> Any:
        """Something that depends on rows and columns only, made once for as long as the matrix lives. The last few are kept."""
        key = (name, rows.tobytes(), columns.tobytes())
        found = self.derived.get(key)
        if found is None:
            while len(self.derived) >= DERIVED_KEPT:
                self.derived.pop(next(iter(self.derived)), None)
            found = self.derived[key] = make()
        return found

    @cached_property
    def sums(self) -> tuple[Numbers, Numbers]:
        """Sum of the returns and of their squares by symbol [N]."""
        return self.filled.sum(axis=0), np.einsum("ij,ij->j", self.filled, self.filled)


def matrix_of(*, symbols: Sequence[str], dates: NDArray[np.datetime64], returns: Numbers) -> ReturnMatrix:
    """A matrix with the fingerprint of its content: SHA-256 of symbols, dates and returns."""
    digest = hashlib.sha256("\x00".join(("returns/1", *symbols)).encode())
    digest.update(np.ascontiguousarray(dates.astype("datetime64[D]").astype("<i8")).tobytes())
    digest.update(np.ascontiguousarray(np.where(np.isnan(returns), np.nan, returns + 0.0), "<f8").tobytes())  # one NaN, no minus zero
    return ReturnMatrix(symbols=tuple(symbols), dates=dates.astype("datetime64[D]"), returns=returns, fingerprint=digest.hexdigest())


def least_observations(confidence: float) -> int:
    """Observations that a number at this confidence needs: a tail of at least one beyond the quantile, and the desk's practice."""
    tail = math.ceil(round(1 / (1 - confidence), 9)) + 1
    return max(tail, LEAST_OBSERVATIONS if confidence <= 0.95 else LEAST_IN_FAR_TAIL)
