"""Features: indicators by symbol, lagged and made comparable, as one aligned array. Pure.

No value looks ahead: an indicator's value at a bar depends on that bar and earlier ones, a lag moves it later, a rolling score looks
back, and a score across symbols uses one moment only. The tests hold every registered indicator to that.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS, BarPanel
from apps.marketdata.domain.indicators import Indicator, compute, indicator_get

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_FEATURES = 200
MOST_LAG = 1_000
LONGEST_NAME = 60


class Normalisation(StrEnum):
    """NONE; ROLLING_Z: (value - mean) / deviation (ddof 1) of the symbol's last `window` values; CROSS_Z: the same over all symbols of
    one moment; CROSS_RANK: rank among them, 0 lowest to 1 highest, ties share the mean, one symbol alone has 0.5.
    """

    NONE = "none"
    ROLLING_Z = "rolling_z"
    CROSS_Z = "cross_z"
    CROSS_RANK = "cross_rank"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """One feature: a line of an indicator of a column, `lag` bars of the symbol later, then normalised."""

    name: str
    indicator: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    line: str = ""
    column: str = "close"
    lag: int = 0
    normalisation: Normalisation = Normalisation.NONE
    window: int = 60

    def __post_init__(self) -> None:
        entry = indicator_get(self.indicator)
        object.__setattr__(self, "parameters", dict(entry.values(self.parameters)))
        object.__setattr__(self, "line", self.line or entry.lines[0].name)
        self._check(entry)

    def _check(self, entry: Indicator) -> None:
        if not 0 < len(self.name) <= LONGEST_NAME:
            raise InvalidInput(f"a feature's name has 1 to {LONGEST_NAME} characters", field="name")
        if self.line not in {line.name for line in entry.lines}:
            raise InvalidInput(f"{entry.name} has no line {self.line!r}: it has {', '.join(line.name for line in entry.lines)}", field="line")
        if self.column not in FIELDS or (self.column != "close" and not entry.on_any_column):
            raise InvalidInput(f"{entry.name} cannot look at {self.column!r}", field="column")
        if not 0 <= self.lag <= MOST_LAG:
            raise InvalidInput(f"a lag is 0 to {MOST_LAG} bars, never into the future, not {self.lag}", field="lag")
        if not 2 <= self.window <= MOST_LAG:
            raise InvalidInput(f"a window is 2 to {MOST_LAG} bars, not {self.window}", field="window")

    @property
    def memory(self) -> int | None:
        """Bars of the symbol before a value that decide it; None for all of history."""
        own = indicator_get(self.indicator).memory(self.parameters)
        scoring = self.window - 1 if self.normalisation is Normalisation.ROLLING_Z else 0
        return None if own is None else own + self.lag + scoring

    def as_dict(self) -> dict[str, Any]:
        """The form in which it is stored."""
        return {
            "name": self.name,
            "indicator": self.indicator,
            "parameters": dict(self.parameters),
            "line": self.line,
            "column": self.column,
            "lag": self.lag,
            "normalisation": self.normalisation.value,
            "window": self.window,
        }

    @classmethod
    def parse(cls, given: Any, where: str = "specs") -> "FeatureSpec":
        """A spec from its stored form. Raises InvalidInput whose field leads to the fault: "specs/2/lag"."""
        if not isinstance(given, Mapping):
            raise InvalidInput("a feature is an object", field=where)
        if unknown := set(given) - set(cls.__slots__):
            raise InvalidInput(f"a feature has no {', '.join(sorted(unknown))}: it has {', '.join(cls.__slots__)}", field=f"{where}/{min(unknown)}")
        kinds = {"name": str, "indicator": str, "line": str, "column": str, "parameters": Mapping, "lag": int, "window": int, "normalisation": str}
        for key in ("name", "indicator"):
            if key not in given:
                raise InvalidInput(f"a feature has {key}", field=f"{where}/{key}")
        for key, value in given.items():
            if not isinstance(value, kinds[key]) or isinstance(value, bool):
                raise InvalidInput(f"{key} is not {value!r}", field=f"{where}/{key}")
        try:
            return cls(**{**given, "normalisation": _normalisation(given.get("normalisation", "none"))})
        except InvalidInput as error:
            raise InvalidInput(error.detail, field=f"{where}/{error.field}") from error


def _normalisation(text: str) -> Normalisation:
    try:
        return Normalisation(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is none of {', '.join(Normalisation)}", field="normalisation") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSet:
    """Features in order. `version` changes with every spec and with the code that computes them."""

    name: str
    specs: tuple[FeatureSpec, ...]

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.specs]
        if not 0 < len(names) <= MOST_FEATURES:
            raise InvalidInput(f"a set has 1 to {MOST_FEATURES} features, not {len(names)}", field="specs")
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise InvalidInput(f"two features are called {twice!r}", field="specs")

    @classmethod
    def parse(cls, name: str, specs: Any) -> "FeatureSet":
        """A set from its stored form. Raises InvalidInput whose field leads to the fault."""
        if not isinstance(specs, list):
            raise InvalidInput("specs is a list of features", field="specs")
        return cls(name=name, specs=tuple(FeatureSpec.parse(spec, f"specs/{at}") for at, spec in enumerate(specs)))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.specs)

    @property
    def memory(self) -> int | None:
        """Bars that are read before the first row; None for all of history."""
        needed = [spec.memory for spec in self.specs]
        return None if None in needed else max(one for one in needed if one is not None)

    @property
    def version(self) -> str:
        """SHA-256 in hex over the specs and the code."""
        text = json.dumps([spec.as_dict() for spec in self.specs], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"features/1\x00{code_version()}\x00{text}".encode()).hexdigest()


def code_version() -> str:
    """SHA-256 over the source of the indicators and of this module, and TA-Lib's version."""
    import talib

    folder = Path(__file__).parent
    digest = hashlib.sha256(talib.__version__.encode())
    for path in sorted([Path(__file__), *(folder / "indicators").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureMatrix:
    """`values` float64 [T, N, F] and `mask` [T, N, F], True where there is a value; times, symbols and features along the axes.

    `dataset` is the fingerprint of the bars that were read, `version` that of the set.
    """

    ts: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    features: tuple[str, ...]
    values: NDArray[np.float64]
    dataset: str
    version: str

    @property
    def mask(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.values)

    def frame(self) -> "DataFrame":
        """The same as a DataFrame: one row per time and symbol, one column per feature."""
        import pandas as pd

        index = pd.MultiIndex.from_product([pd.DatetimeIndex(self.ts, tz="UTC"), self.symbols], names=["ts", "symbol"])
        return pd.DataFrame(self.values.reshape(-1, len(self.features)), index=index, columns=list(self.features))


def compute_features(
    panel: BarPanel, specs: Sequence[FeatureSpec], *, benchmark: NDArray[np.float64] | None = None, session: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Features [T, N, F] of a panel [T, N]. Each symbol is computed on the bars that it has; NaN elsewhere and while warming up.

    `benchmark` [T] and `session` [T] are needed by indicators that look at them. Raises InvalidInput when one is missing.
    """
    result = np.full((len(panel), len(panel.symbols), len(specs)), np.nan)
    for column in range(len(panel.symbols)):
        rows = np.flatnonzero(~np.isnan(panel.close[:, column]))
        bars: dict[str, NDArray[Any]] = {name: getattr(panel, name)[rows, column] for name in FIELDS}
        extra = {"benchmark": benchmark, "session": session}
        bars |= {name: values[rows] for name, values in extra.items() if values is not None}
        for at, spec in enumerate(specs):
            result[rows, column, at] = _one(bars, spec)
    for at, spec in enumerate(specs):
        if spec.normalisation in (Normalisation.CROSS_Z, Normalisation.CROSS_RANK):
            result[:, :, at] = _across(result[:, :, at], spec.normalisation)
    return result


def _one(bars: Mapping[str, NDArray[Any]], spec: FeatureSpec) -> NDArray[np.float64]:
    """One symbol's feature on its own bars."""
    entry = indicator_get(spec.indicator)
    needed = {spec.column} if entry.on_any_column else set(entry.columns) & set(bars)
    line = compute(spec.indicator, {name: bars[name] for name in needed}, spec.parameters, column=spec.column)[spec.line]
    if spec.lag:
        line = np.concatenate([np.full(min(spec.lag, len(line)), np.nan), line[: -spec.lag]])
    if spec.normalisation is Normalisation.ROLLING_Z:
        line = compute("zscore", {"close": line}, {"period": spec.window})["zscore"]
    return line


def _across(values: NDArray[np.float64], how: Normalisation) -> NDArray[np.float64]:
    """Scores [T, N] over the symbols of each moment."""
    from scipy.stats import rankdata

    count = (~np.isnan(values)).sum(axis=1, keepdims=True)
    if how is Normalisation.CROSS_RANK:
        ranks = np.apply_along_axis(rankdata, 1, values, nan_policy="omit") if values.size else values
        return np.where(np.isnan(values), np.nan, np.where(count > 1, (ranks - 1.0) / np.maximum(count - 1, 1), 0.5))
    total = np.nansum(values, axis=1, keepdims=True)
    mean = total / np.maximum(count, 1)
    square = np.nansum((values - mean) ** 2, axis=1, keepdims=True)
    deviation = np.sqrt(square / np.maximum(count - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((count > 1) & (deviation > 0), (values - mean) / deviation, np.nan)
