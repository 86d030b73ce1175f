"""Candlestick patterns: all that TA-Lib recognises, as one family with one shape."""

import importlib
from functools import partial
from typing import Any

from apps.marketdata.domain.indicators.kinds import Indicator, Line, Parameter, Values, from_talib

OHLC = ("open", "high", "low", "close")


def _constant(bars: int, _values: Values) -> int:
    return bars


def pattern_indicators() -> tuple[Indicator, ...]:
    """One entry per CDL function of the installed TA-Lib."""
    talib: Any = importlib.import_module("talib")
    abstract: Any = importlib.import_module("talib.abstract")
    found = []
    for name in talib.get_function_groups()["Pattern Recognition"]:
        function = abstract.Function(name)
        lookback = partial(_constant, int(function.lookback))
        found.append(
            Indicator(
                name=name.lower(),
                title=str(function.info["display_name"]),
                description="Candlestick pattern: 100 bullish (200 confirmed), -100 bearish (-200 confirmed), 0 absent.",
                source="TA-Lib; Nison, Japanese Candlestick Charting Techniques (2001)",
                columns=OHLC,
                parameters=tuple(
                    Parameter(name=key, default=float(value), minimum=0.0, maximum=10.0, description="part of the body that is to be penetrated")
                    for key, value in function.parameters.items()
                ),
                lines=(Line(name=name.lower(), units="signal"),),
                compute=from_talib(name, OHLC, (name.lower(),), **{key: key for key in function.parameters}),
                warmup=lookback,
                memory=lookback,
            )
        )
    return tuple(found)
