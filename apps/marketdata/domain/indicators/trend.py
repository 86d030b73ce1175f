"""Indicators of trend: moving averages, their convergence, channels and directional movement."""

from collections.abc import Mapping
from typing import Any

from apps.core.errors import InvalidInput
from apps.marketdata.domain.indicators.kinds import (
    Columns,
    Indicator,
    Line,
    Numbers,
    Parameter,
    Values,
    bars,
    exponential_memory,
    from_talib,
    late,
    wilder_memory,
    windows,
)

HLC = ("high", "low", "close")
PRICE = "price"


_sma = from_talib("SMA", ("close",), ("sma",), timeperiod="period")
_ema = from_talib("EMA", ("close",), ("ema",), timeperiod="period")
_wma = from_talib("WMA", ("close",), ("wma",), timeperiod="period")
_macd = from_talib("MACD", ("close",), ("macd", "signal", "histogram"), fastperiod="fast", slowperiod="slow", signalperiod="signal")
_adx = from_talib("ADX", HLC, ("adx",), timeperiod="period")
_plus_di = from_talib("PLUS_DI", HLC, ("plus_di",), timeperiod="period")
_minus_di = from_talib("MINUS_DI", HLC, ("minus_di",), timeperiod="period")
_reach = from_talib("ATR", HLC, ("reach",), timeperiod="atr_period")


def _dmi(columns: Columns, values: Values) -> Mapping[str, Numbers]:
    return {**_adx(columns, values), **_plus_di(columns, values), **_minus_di(columns, values)}


def _donchian(columns: Columns, values: Values) -> Mapping[str, Numbers]:
    upper = late(windows(columns["high"], values["period"]).max(axis=1), len(columns["high"]))
    lower = late(windows(columns["low"], values["period"]).min(axis=1), len(columns["low"]))
    return {"upper": upper, "middle": (upper + lower) / 2.0, "lower": lower}


def _keltner(columns: Columns, values: Values) -> Mapping[str, Numbers]:
    middle, reach = _ema(columns, values)["ema"], values["multiple"] * _reach(columns, values)["reach"]
    return {"upper": middle + reach, "middle": middle, "lower": middle - reach}


def _fast_below_slow(values: Values) -> None:
    if values["fast"] >= values["slow"]:
        raise InvalidInput(f"fast is below slow, not {values['fast']} and {values['slow']}", field="fast")


def _average(name: str, title: str, compute: Any, description: str, memory: Any) -> Indicator:
    return Indicator(
        name=name,
        title=title,
        description=description,
        source="TA-Lib",
        columns=("close",),
        parameters=(bars(20),),
        lines=(Line(name=name, units=PRICE),),
        compute=compute,
        warmup=lambda values: values["period"] - 1,
        memory=memory,
        overlay=True,
    )


def _directional(name: str, title: str, compute: Any, warmup: Any, lines: tuple[str, ...], description: str) -> Indicator:
    return Indicator(
        name=name,
        title=title,
        description=description,
        source="Wilder, New Concepts in Technical Trading Systems (1978); TA-Lib",
        convention="Wilder's smoothing begins with the sum of the first period - 1 movements",
        columns=HLC,
        parameters=(bars(14, least=2),),
        lines=tuple(Line(name=line, units="points") for line in lines),
        compute=compute,
        warmup=warmup,
        memory=lambda values: 2 * wilder_memory(values["period"]) + 1,
    )


INDICATORS = (
    _average("sma", "Simple moving average", _sma, "Mean of the last closes.", lambda values: values["period"] - 1),
    _average(
        "ema",
        "Exponential moving average",
        _ema,
        "Mean of all closes with weights that fall by the factor 1 - 2 / (period + 1); begins with the simple mean of the first period closes.",
        lambda values: values["period"] - 1 + exponential_memory(values["period"]),
    ),
    _average("wma", "Weighted moving average", _wma, "Mean of the last closes with weights 1, 2, ... period.", lambda values: values["period"] - 1),
    Indicator(
        name="macd",
        title="Moving average convergence divergence",
        description="Fast minus slow exponential average, its own average, and the difference of the two.",
        source="Appel (1979); TA-Lib",
        convention="both averages are seeded so that their first value falls on the same bar; all three lines begin with the signal",
        columns=("close",),
        parameters=(
            bars(12, "bars of the fast average", name="fast", least=2, aliases=("fastperiod", "fast_period")),
            bars(26, "bars of the slow average", name="slow", least=3, aliases=("slowperiod", "slow_period")),
            bars(9, "bars of the signal's average", name="signal", aliases=("signalperiod", "signal_period")),
        ),
        lines=tuple(Line(name=name, units=PRICE) for name in ("macd", "signal", "histogram")),
        compute=_macd,
        warmup=lambda values: values["slow"] + values["signal"] - 2,
        memory=lambda values: values["slow"] + values["signal"] + exponential_memory(values["slow"]) + exponential_memory(values["signal"]),
        check=_fast_below_slow,
    ),
    _directional(
        "adx",
        "Average directional index",
        _adx,
        lambda values: 2 * values["period"] - 1,
        ("adx",),
        "Strength of a trend in either direction: Wilder's average of |+DI - -DI| / (+DI + -DI).",
    ),
    _directional(
        "plus_di",
        "Plus directional indicator",
        _plus_di,
        lambda values: values["period"],
        ("plus_di",),
        "Upward movement as a part of the true range.",
    ),
    _directional(
        "minus_di",
        "Minus directional indicator",
        _minus_di,
        lambda values: values["period"],
        ("minus_di",),
        "Downward movement as a part of the true range.",
    ),
    _directional(
        "dmi",
        "Directional movement index",
        _dmi,
        lambda values: 2 * values["period"] - 1,
        ("adx", "plus_di", "minus_di"),
        "ADX with +DI and -DI; all three lines begin with the ADX.",
    ),
    Indicator(
        name="donchian",
        title="Donchian channel",
        description="Highest high and lowest low of the last bars, this one included, and the middle between them.",
        source="Donchian; Kaufman, Trading Systems and Methods (2013)",
        columns=("high", "low"),
        parameters=(bars(20),),
        lines=tuple(Line(name=name, units=PRICE) for name in ("upper", "middle", "lower")),
        compute=_donchian,
        warmup=lambda values: values["period"] - 1,
        memory=lambda values: values["period"] - 1,
        overlay=True,
    ),
    Indicator(
        name="keltner",
        title="Keltner channel",
        description="Exponential average of the close, and a multiple of the average true range above and below it.",
        source="Keltner (1960) as revised by Raschke; StockCharts",
        columns=HLC,
        parameters=(
            bars(20),
            bars(10, "bars of the average true range", name="atr_period"),
            Parameter(name="multiple", default=2.0, minimum=0.0, maximum=100.0, description="average true ranges on each side"),
        ),
        lines=tuple(Line(name=name, units=PRICE) for name in ("upper", "middle", "lower")),
        compute=_keltner,
        warmup=lambda values: max(values["period"] - 1, values["atr_period"]),
        memory=lambda values: max(
            values["period"] + exponential_memory(values["period"]), values["atr_period"] + wilder_memory(values["atr_period"])
        ),
        overlay=True,
    ),
)
