"""What an indicator is: its parameters with bounds, its lines with units, how many bars it needs, and how it is computed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput

Numbers = NDArray[np.float64]
Columns = Mapping[str, Numbers]
Values = Mapping[str, Any]
Compute = Callable[[Columns, Values], Mapping[str, NDArray[Any]]]

#: Share of a recursive average's weight that may lie before the bars that were read.
NEGLIGIBLE = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number that changes an indicator: `default` says whether it is whole; bounds are inclusive. `aliases` are TA-Lib's names of it."""

    name: str
    default: float
    minimum: float
    maximum: float
    description: str
    aliases: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """True for a number of bars."""
        return isinstance(self.default, int)

    def checked(self, value: Any) -> float:
        """The value as int or float. Raises InvalidInput which names the parameter and its bounds."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating) or not np.isfinite(value):
            raise InvalidInput(f"{self.name} is a number, not {value!r}", field=self.name)
        if self.whole and value != int(value):
            raise InvalidInput(f"{self.name} is a whole number, not {value}", field=self.name)
        if not self.minimum <= value <= self.maximum:
            raise InvalidInput(f"{self.name} is between {self.minimum:g} and {self.maximum:g}, not {value:g}", field=self.name)
        return int(value) if self.whole else float(value)


def bars(default: int, description: str = "number of bars", *, name: str = "period", least: int = 1, aliases: tuple[str, ...] = ()) -> Parameter:
    """A parameter that counts bars."""
    alias = ("timeperiod",) if name == "period" else ()
    return Parameter(name=name, default=default, minimum=least, maximum=5_000, description=description, aliases=(*alias, *aliases))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series that an indicator gives. `units`: "price", "percent", "fraction", "shares", "points" (0 to 100), "ratio" or "signal"."""

    name: str
    units: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """An entry of the registry.

    `compute(columns, parameters)` gets the needed columns float64 [T] without NaN, T > warm-up, and gives its lines [T].
    `warmup(parameters)` is the exact number of leading NaN. `memory(parameters)` is how many bars before a value decide it (to 1e-10 of
    the weight for recursive averages); None when all of history does. `overlay`: drawn over the price, else in a pane of its own.
    """

    name: str
    title: str
    description: str
    source: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    compute: Compute
    warmup: Callable[[Values], int]
    memory: Callable[[Values], int | None]
    parameters: tuple[Parameter, ...] = ()
    optional: tuple[str, ...] = ()
    overlay: bool = False
    convention: str = ""
    check: Callable[[Values], None] | None = None

    @property
    def family(self) -> str:
        """ "patterns" for candlestick patterns, "" for the others."""
        return "patterns" if self.name.startswith("cdl") else ""

    @property
    def on_any_column(self) -> bool:
        """True when it looks at one series only, which may then be another than the close: a mean of the volume for example."""
        return self.columns == ("close",)

    def values(self, given: Values) -> Values:
        """All parameters with defaults filled in. Raises InvalidInput for an unknown name, a value out of bounds, or values that do not fit."""
        known = {name: item for item in self.parameters for name in (item.name, *item.aliases)}
        result: dict[str, float] = {item.name: item.default for item in self.parameters}
        seen: set[str] = set()
        for name, value in given.items():
            if name not in known:
                names = ", ".join(item.name for item in self.parameters) or "none"
                raise InvalidInput(f"{self.name} has no parameter {name!r}: it has {names}", field=name)
            if known[name].name in seen:
                raise InvalidInput(f"{known[name].name} of {self.name} is given twice", field=name)
            seen.add(known[name].name)
            result[known[name].name] = known[name].checked(value)
        if self.check is not None:
            self.check(result)
        return MappingProxyType(result)


def from_talib(function: str, inputs: tuple[str, ...], lines: tuple[str, ...], **names: str) -> Compute:
    """How a TA-Lib function computes these lines of these columns; `names` are its parameters, each with our name of it."""

    def compute(columns: Columns, values: Values) -> Mapping[str, NDArray[Any]]:
        import talib

        answer = getattr(talib, function)(*(columns[name] for name in inputs), **{theirs: values[ours] for theirs, ours in names.items()})
        return dict(zip(lines, answer if len(lines) > 1 else (answer,), strict=True))

    return compute


def windows(values: Numbers, period: int) -> Numbers:
    """The last `period` values at each place from the first full window on [T - period + 1, period]: a view."""
    return np.lib.stride_tricks.sliding_window_view(values, period)


def late(values: Numbers, length: int) -> Numbers:
    """The values at the end of a series of `length`, NaN before."""
    return np.concatenate([np.full(length - len(values), np.nan), values])


def exponential_memory(period: float) -> int:
    """Bars after which an exponential average with alpha = 2 / (period + 1) has forgotten its seed."""
    return _forgets(2.0 / (period + 1.0))


def wilder_memory(period: float) -> int:
    """Bars after which Wilder's average with alpha = 1 / period has forgotten its seed."""
    return _forgets(1.0 / period)


def _forgets(alpha: float) -> int:
    return 0 if alpha >= 1.0 else int(np.ceil(np.log(NEGLIGIBLE) / np.log1p(-alpha)))
