"""Factor scores of a universe: momentum, quality, value and low volatility, their composite and its rank. Pure, for all dates at once.

Closes are total-return closes [T, N], one row per session of the universe, NaN where an instrument has none. Every score of a row uses that
row and those above it, nothing below. Definitions, proxies and rules: docs/factors.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure
from apps.marketdata.domain.cross_section import ranks, z_scores
from apps.marketdata.domain.windows import carried, earlier, window_max, window_sum

Numbers = NDArray[np.float64]

FACTORS = ("momentum", "quality", "value", "volatility")
SESSIONS_PER_YEAR = 252


class Missing(IntEnum):
    """Why an instrument has no score in a factor. NONE: it has one."""

    NONE = 0
    HISTORY = 1
    GAPS = 2
    FEW_NAMES = 3


#: What a reason says to people.
MISSING_TEXT = {
    Missing.HISTORY: "too little history before this date",
    Missing.GAPS: "too many closes are missing",
    Missing.FEW_NAMES: "too few instruments to compare with",
}
#: `missing` of a row holds a reason of two bits for each factor, in the order of `FACTORS`.
MISSING_BITS = 2


class Proxy(IntFlag):
    """Which scores of a row come from prices because there were no fundamentals."""

    NONE = 0
    QUALITY = 1
    VALUE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSettings:
    """Windows in sessions, and the rules of the cross-section.

    `stale`: so many sessions may the close at the far end of a window be older than asked for. `least_share`: so much of a window's
    returns must be there. `winsor`: share drawn in at each end. `least_names`: instruments that a cross-section needs.
    `least_factors`: scores that a composite needs; `weights` are those of the composite, over the factors that are there.
    """

    momentum: int = 252
    skip: int = 21
    risk: int = 252
    value: int = 1_260
    value_half_width: int = 126
    stale: int = 5
    least_share: float = 0.8
    winsor: float = 0.05
    least_names: int = 5
    least_factors: int = 2
    weights: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(FACTORS, 0.25))

    def __post_init__(self) -> None:
        """Raises InvalidInput for windows and weights which no score can be made with."""
        if set(self.weights) != set(FACTORS) or any(not weight >= 0 for weight in self.weights.values()) or not sum(self.weights.values()) > 0:
            raise InvalidInput(f"weights are given for {', '.join(FACTORS)}, none below 0, not all 0", field="weights")
        if not 0 <= self.skip < self.momentum:
            raise InvalidInput("momentum skips less than its window", field="skip")
        if not 0 <= self.winsor < 0.5:
            raise InvalidInput(f"{self.winsor} of both ends cannot be drawn in", field="winsor")
        if self.least_names < 2 or not 1 <= self.least_factors <= len(FACTORS):
            raise InvalidInput("a cross-section needs at least two names, a composite one to four factors", field="least_names")

    @property
    def warm_up(self) -> int:
        """Sessions before a date that its scores may look at."""
        return max(self.momentum, 2 * self.risk, self.value + self.value_half_width) + self.stale

    def as_dict(self) -> dict[str, object]:
        """All settings by name, for the record of a run."""
        return {name: dict(self.weights) if name == "weights" else getattr(self, name) for name in self.__slots__}


DEFAULTS = FactorSettings()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawFactor:
    """A factor before it is compared: `values` [T, N], NaN where there is none, and why (`Missing`) int8 [T, N]."""

    values: Numbers
    missing: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """Scores [T, N], NaN where there is none; `rank` int16 (0: none), `proxies` (`Proxy`) and `missing` (two bits a factor) int16 [T, N]."""

    momentum: Numbers
    quality: Numbers
    value: Numbers
    volatility: Numbers
    composite: Numbers
    rank: NDArray[np.int16]
    proxies: NDArray[np.int16]
    missing: NDArray[np.int16]


def missing_reasons(missing: int) -> dict[str, str]:
    """For each factor without a score, the reason in words."""
    found = {name: Missing((missing >> (MISSING_BITS * place)) & 3) for place, name in enumerate(FACTORS)}
    return {name: MISSING_TEXT[reason] for name, reason in found.items() if reason is not Missing.NONE}


def momentum_panel(closes: Numbers, settings: FactorSettings = DEFAULTS) -> RawFactor:
    """Return from `momentum` to `skip` sessions ago: the year without its last month, which tends to reverse."""
    known = carried(closes, settings.stale)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = earlier(known, settings.skip, np.nan) / earlier(known, settings.momentum, np.nan) - 1.0
    return _raw(values, closes, settings.momentum)


def volatility_panel(closes: Numbers, settings: FactorSettings = DEFAULTS) -> RawFactor:
    """Minus the annualised sample deviation of the daily returns of `risk` sessions: calm instruments score high."""
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = closes / earlier(closes, 1, np.nan) - 1.0
    there = ~np.isnan(returns)
    count = window_sum(there.astype(float), settings.risk)
    some = np.maximum(count, 2.0)
    total = window_sum(np.where(there, returns, 0.0), settings.risk)
    squares = window_sum(np.where(there, returns * returns, 0.0), settings.risk)
    variance = np.maximum(squares - total * total / some, 0.0) / (some - 1.0)
    values = np.where(count >= settings.least_share * settings.risk, -np.sqrt(variance * SESSIONS_PER_YEAR), np.nan)
    return _raw(values, closes, settings.risk)


def quality_proxy(closes: Numbers, settings: FactorSettings = DEFAULTS) -> RawFactor:
    """Stand-in for quality: mean of close / highest close of `risk` sessions - 1 over `risk` sessions (0 is best): steady growers score high."""
    there = ~np.isnan(closes)
    high = window_max(closes, settings.risk)
    with np.errstate(invalid="ignore"):
        under = np.where(there, closes / high - 1.0, 0.0)
    count = window_sum(there.astype(float), settings.risk)
    mean = window_sum(under, settings.risk) / np.maximum(count, 1.0)
    return _raw(np.where(count >= settings.least_share * settings.risk, mean, np.nan), closes, settings.risk - 1)


def value_proxy(closes: Numbers, settings: FactorSettings = DEFAULTS) -> RawFactor:
    """Stand-in for value: log of (mean close of `value` sessions ago, give or take `value_half_width`) / close: what fell for long scores high."""
    width = 2 * settings.value_half_width + 1
    there = ~np.isnan(closes)
    count = earlier(window_sum(there.astype(float), width), settings.value - settings.value_half_width, 0.0)
    total = earlier(window_sum(np.where(there, closes, 0.0), width), settings.value - settings.value_half_width, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(total / np.maximum(count, 1.0) / closes)
    return _raw(np.where(count >= settings.least_share * width, values, np.nan), closes, settings.value + settings.value_half_width)


def _raw(values: Numbers, closes: Numbers, sessions: int) -> RawFactor:
    """Keep what the instrument's own close of the date stands beside; a window longer than its history is HISTORY, else holes are GAPS."""
    has = ~np.isnan(closes)
    first = np.where(has.any(axis=0), has.argmax(axis=0), len(closes)) if len(closes) else np.zeros(closes.shape[1], np.int64)
    young = np.arange(len(closes))[:, None] - first[None, :] < sessions
    there = has & ~young & np.isfinite(values)
    missing = np.where(there, Missing.NONE, np.where(young, Missing.HISTORY, Missing.GAPS)).astype(np.int8)
    return RawFactor(values=np.where(there, values, np.nan), missing=missing)


def scores_panel(
    closes: Numbers,
    *,
    first: int = 0,
    quality: Sequence[Numbers] = (),
    value: Sequence[Numbers] = (),
    settings: FactorSettings = DEFAULTS,
) -> Scores:
    """Scores of the rows from `first` on; the rows before are history.

    `quality` and `value` are ratios from fundamentals as they were known at each row [T, N], NaN where there are none. Where at least
    `least_names` instruments of a row have one, those are scored by the mean z-score of their ratios; all others by the proxy, whose
    z-score is taken over all instruments of the row, and their flag says so.
    """
    momentum = _rows(momentum_panel(closes, settings), first)
    calm = _rows(volatility_panel(closes, settings), first)
    plain = {name: _scored(raw, settings) for name, raw in (("momentum", momentum), ("volatility", calm))}
    there = ~np.isnan(closes[first:])
    proxies = np.zeros(there.shape, np.int16)
    mixed = {}
    for name, panel, ratios, flag in (("quality", quality_proxy, quality, Proxy.QUALITY), ("value", value_proxy, value, Proxy.VALUE)):
        score, missing = _scored(_rows(panel(closes, settings), first), settings)
        known = _fundamental(there, [ratio[first:] for ratio in ratios], settings)
        proxies |= np.where(np.isnan(known) & ~np.isnan(score), np.int16(flag), np.int16(0))
        mixed[name] = np.where(np.isnan(known), score, known), np.where(np.isnan(known), missing, Missing.NONE)
    factors = plain | mixed
    composite = composite_of({name: factors[name][0] for name in FACTORS}, settings)
    reasons = np.zeros(there.shape, np.int16)
    for place, name in enumerate(FACTORS):
        reasons |= factors[name][1].astype(np.int16) << (MISSING_BITS * place)
    return Scores(**{name: factors[name][0] for name in FACTORS}, composite=composite, rank=ranks(composite), proxies=proxies, missing=reasons)


def _rows(raw: RawFactor, first: int) -> RawFactor:
    return RawFactor(values=raw.values[first:], missing=raw.missing[first:])


def _scored(raw: RawFactor, settings: FactorSettings) -> tuple[Numbers, NDArray[np.int8]]:
    scores = z_scores(raw.values, winsor=settings.winsor, least=settings.least_names)
    few = np.isnan(scores) & (raw.missing == Missing.NONE)
    return scores, np.where(few, np.int8(Missing.FEW_NAMES), raw.missing)


def _fundamental(there: NDArray[np.bool_], ratios: Sequence[Numbers], settings: FactorSettings) -> Numbers:
    """Mean z-score of an instrument's ratios [T, N], NaN where it has none or the row has too few instruments with one."""
    total, count = np.zeros(there.shape), np.zeros(there.shape)
    for ratio in ratios:
        scores = z_scores(np.where(there, ratio, np.nan), winsor=settings.winsor, least=settings.least_names)
        total += np.nan_to_num(scores)
        count += ~np.isnan(scores)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def composite_of(scores: Mapping[str, Numbers], settings: FactorSettings = DEFAULTS) -> Numbers:
    """Weighted mean of the factors that are there [T, N]; NaN with fewer than `least_factors`, or none of a weight above 0."""
    shape = next(iter(scores.values())).shape
    total, weights, count = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
    for name in FACTORS:
        there = ~np.isnan(scores[name])
        total += np.where(there, scores[name], 0.0) * settings.weights[name]
        weights += there * settings.weights[name]
        count += there
    enough = (count >= settings.least_factors) & (weights > 0)
    return np.where(enough, total / np.where(weights > 0, weights, 1.0), np.nan)


def _last(raw: RawFactor) -> float:
    """The value of a single series' last row. Raises InsufficientData with the reason."""
    if not len(raw.values):
        raise InsufficientData("there are no closes", field="closes")
    if (reason := Missing(int(raw.missing[-1, 0]))) is not Missing.NONE:
        raise InsufficientData(MISSING_TEXT[reason], field="closes")
    return float(raw.values[-1, 0])


def _column(closes: Sequence[float]) -> Numbers:
    return np.asarray(closes, float).reshape(-1, 1)


@measure(
    "marketdata.factor.momentum",
    units="return",
    convention="close `skip` sessions ago / close `sessions` ago - 1; a close may be up to 5 sessions old; NaN is a missing close",
    source="Jegadeesh and Titman (1993); Carhart (1997)",
)
def momentum(closes: Sequence[float], sessions: int = 252, skip: int = 21) -> float:
    """Total return of the year without its last month. Raises InsufficientData without a close at both ends."""
    return _last(momentum_panel(_column(closes), FactorSettings(momentum=sessions, skip=skip)))


@measure(
    "marketdata.factor.volatility",
    units="fraction per year",
    convention="minus the sample deviation (ddof 1) of daily returns x sqrt(252): <= 0, calm is high; at least 80 % of the window's returns",
    source="Ang, Hodrick, Xing and Zhang (2006)",
)
def volatility(closes: Sequence[float], sessions: int = 252) -> float:
    """Low-volatility score before it is compared. Raises InsufficientData."""
    return _last(volatility_panel(_column(closes), FactorSettings(risk=sessions)))


@measure(
    "marketdata.factor.quality_proxy",
    units="fraction",
    convention="mean over the window of close / highest close of the window before it - 1: <= 0, steady is high; a proxy from prices",
    source="pain index (Becker, 2006); desk definition, docs/factors.md",
)
def quality(closes: Sequence[float], sessions: int = 252) -> float:
    """Mean drawdown of a year from its running one-year high. Raises InsufficientData."""
    return _last(quality_proxy(_column(closes), FactorSettings(risk=sessions)))


@measure(
    "marketdata.factor.value_proxy",
    units="log return",
    convention="log(mean close from `sessions` + `half_width` to `sessions` - `half_width` ago / close): a proxy from prices",
    source="Asness, Moskowitz and Pedersen (2013), value of assets without book values",
)
def value(closes: Sequence[float], sessions: int = 1_260, half_width: int = 126) -> float:
    """Minus the long-run return. Raises InsufficientData."""
    return _last(value_proxy(_column(closes), FactorSettings(value=sessions, value_half_width=half_width)))


@measure(
    "marketdata.factor.composite",
    units="standard deviations",
    convention="weighted mean of the scores that are there (NaN: not there); NaN with fewer than `least_factors`",
    source="desk definition, docs/factors.md",
)
def composite(scores: Mapping[str, float], weights: Mapping[str, float] | None = None, least_factors: int = 2) -> float:
    """Composite of one instrument's scores by factor."""
    settings = FactorSettings(weights=dict(weights or DEFAULTS.weights), least_factors=least_factors)
    unknown = set(scores) - set(FACTORS)
    if unknown:
        raise InvalidInput(f"{', '.join(sorted(unknown))} is none of {', '.join(FACTORS)}", field="scores")
    return float(composite_of({name: np.array([[scores.get(name, np.nan)]]) for name in FACTORS}, settings)[0, 0])
