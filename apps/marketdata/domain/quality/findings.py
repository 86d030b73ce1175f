"""What a check of data says: which check, how bad, from when to when, how many bars, and the numbers behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

#: Of one check and series at most so many findings are reported, the largest; a summary counts the rest.
MOST_FINDINGS = 20


class Severity(StrEnum):
    """`error`: numbers computed from the data are wrong. `warning`: somebody should look. `info`: worth knowing."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class QualityCheck(StrEnum):
    """The checks by the name under which findings are stored, alerts speak and quarantine rules are written."""

    NO_BARS = "NO_BARS"
    INCOMPLETE = "INCOMPLETE"
    GAP = "GAP"
    LAST_BAR_OLD = "LAST_BAR_OLD"
    CLOSE_UNCHANGED = "CLOSE_UNCHANGED"
    ZERO_VOLUME = "ZERO_VOLUME"
    OHLC_ORDER = "OHLC_ORDER"
    OUTLIER = "OUTLIER"
    BAD_TICK = "BAD_TICK"
    PRICE_FACTOR = "PRICE_FACTOR"
    SUSPECTED_SPLIT = "SUSPECTED_SPLIT"
    SPLIT_NOT_SEEN = "SPLIT_NOT_SEEN"
    DIVIDEND_DOUBTFUL = "DIVIDEND_DOUBTFUL"
    VENDORS_DISAGREE = "VENDORS_DISAGREE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding. `first` and `last` are starts of bars in UTC (None where there is no bar), `count` the number of bars or events.

    `numbers` are what the check compared, by name; `text` says it in a sentence.
    """

    check: QualityCheck
    severity: Severity
    first: datetime | None
    last: datetime | None
    count: int
    text: str
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)


def moment(ts: np.datetime64) -> datetime:
    """An aware datetime of a time in UTC."""
    value: datetime = ts.astype("datetime64[us]").item()
    return value.replace(tzinfo=UTC)


def runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Beginning and end (exclusive) [R] of each run of True in a mask [T]."""
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
