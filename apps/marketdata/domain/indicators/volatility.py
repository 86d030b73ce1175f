"""Indicators of volatility and position in a distribution: bands, ranges, deviation, fall from the highest, beta."""

from collections.abc import Mapping

import numpy as np

from apps.marketdata.domain.indicators.kinds import (
    Columns,
    Indicator,
    Line,
    Numbers,
    Parameter,
    Values,
    bars,
    from_talib,
    late,
    wilder_memory,
    windows,
)

HLC = ("high", "low", "close")


_atr = from_talib("ATR", HLC, ("atr",), timeperiod="period")


def _bbands(columns: Columns, values: Values) -> Mapping[str, Numbers]:
    close = columns["close"]
    rolling = windows(close, values["period"])
    middle = late(rolling.mean(axis=1), len(close))
    reach = values["deviations"] * late(rolling.std(axis=1), len(close))  # in two passes: TA-Lib's running sums lose digits
    return {"upper": middle + reach, "middle": middle, "lower": middle - reach}


def _natr(columns: Columns, values: Values) -> Mapping[str, Numbers]:
    return {"natr": 100.0 * _atr(columns, values)["atr"] / columns["close"]}  # TA-Lib's own forgets to divide where period is 1


def _volatility(columns: Columns, values: Values) -> Mapping[str, Numbers]:
    close = columns["close"]
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.diff(np.log(close))
        deviation = windows(returns, values["period"]).std(axis=1, ddof=1)
    return {"volatility": late(deviation * np.sqrt(values["periods_per_year"]), len(close))}


def _zscore(columns: Columns, values: Values) -> Mapping[str, Numbers]:
    series = columns["close"]
    rolling = windows(series, values["period"])
    mean, deviation = rolling.mean(axis=1), rolling.std(axis=1, ddof=1)
    flat = rolling.max(axis=1) == rolling.min(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(flat, np.nan, (rolling[:, -1] - mean) / deviation)
    return {"zscore": late(score, len(series))}


def _drawdown(columns: Columns, values: Values) -> Mapping[str, Numbers]:
    close, period = columns["close"], values["period"]
    peak = late(windows(close, period).max(axis=1), len(close)) if period else np.maximum.accumulate(close)
    return {"drawdown": close / peak - 1.0}


def _beta(columns: Columns, values: Values) -> Mapping[str, Numbers]:
    own, market = (np.diff(columns[name]) / columns[name][:-1] for name in ("close", "benchmark"))
    own, market = windows(own, values["period"]), windows(market, values["period"])
    around = market - market.mean(axis=1, keepdims=True)
    variance = (around**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(market.max(axis=1) == market.min(axis=1), np.nan, (own * around).sum(axis=1) / variance)
    return {"beta": late(slope, len(columns["close"]))}


def _before(values: Values) -> int:
    return int(values["period"]) - 1


def _period(values: Values) -> int:
    return int(values["period"])


def _range(name: str, title: str, units: str, description: str) -> Indicator:
    return Indicator(
        name=name,
        title=title,
        description=description,
        source="Wilder (1978); TA-Lib",
        convention="the first true range needs a previous close; the average begins with the simple mean of the first period ranges",
        columns=HLC,
        parameters=(bars(14),),
        lines=(Line(name=name, units=units),),
        compute=_atr if name == "atr" else _natr,
        warmup=_period,
        memory=lambda values: values["period"] + wilder_memory(values["period"]),
    )


INDICATORS = (
    Indicator(
        name="bbands",
        title="Bollinger bands",
        description="Mean of the last closes, and a number of their standard deviations above and below it.",
        source="Bollinger on Bollinger Bands (2001): 20 bars, 2 deviations",
        convention="ddof 0",
        columns=("close",),
        parameters=(
            bars(20, least=2),
            Parameter(
                name="deviations",
                default=2.0,
                minimum=0.0,
                maximum=100.0,
                description="standard deviations on each side",
                aliases=("nbdev", "std", "stddev", "num_std"),
            ),
        ),
        lines=tuple(Line(name=name, units="price") for name in ("upper", "middle", "lower")),
        compute=_bbands,
        warmup=_before,
        memory=_before,
        overlay=True,
    ),
    _range("atr", "Average true range", "price", "Wilder's average of the true range."),
    _range("natr", "Normalised average true range", "percent", "Average true range in percent of the close."),
    Indicator(
        name="volatility",
        title="Rolling volatility",
        description="Standard deviation of the last log returns, made annual: 0.2 is twenty percent a year.",
        source="Hull, Options, Futures and Other Derivatives, on historical volatility",
        convention="log returns, ddof 1, times the root of periods_per_year",
        columns=("close",),
        parameters=(
            bars(20, "number of returns", least=2),
            Parameter(name="periods_per_year", default=252.0, minimum=1.0, maximum=1e6, description="bars in a year; 1 leaves it as it is"),
        ),
        lines=(Line(name="volatility", units="fraction"),),
        compute=_volatility,
        warmup=_period,
        memory=_period,
    ),
    Indicator(
        name="zscore",
        title="Rolling z-score",
        description="Distance of the last value from the mean of the last bars, itself included, in their standard deviations.",
        source="definition",
        convention="ddof 1; NaN where nothing has moved",
        columns=("close",),
        parameters=(bars(20, least=2),),
        lines=(Line(name="zscore", units="ratio"),),
        compute=_zscore,
        warmup=_before,
        memory=_before,
    ),
    Indicator(
        name="drawdown",
        title="Drawdown",
        description="Close against its highest of the last bars, minus one: -0.1 is ten percent below.",
        source="definition",
        convention="period 0 looks back to the first bar",
        columns=("close",),
        parameters=(bars(252, "bars in which the highest is looked for, 0 for all", least=0),),
        lines=(Line(name="drawdown", units="fraction"),),
        compute=_drawdown,
        warmup=lambda values: max(_before(values), 0),
        memory=lambda values: _before(values) if values["period"] else None,
    ),
    Indicator(
        name="beta",
        title="Rolling beta",
        description="Slope of the last simple returns on those of a benchmark.",
        source="Sharpe (1964); definition",
        convention="covariance over variance; NaN while the benchmark does not move",
        columns=("close", "benchmark"),
        parameters=(bars(60, "number of returns", least=2),),
        lines=(Line(name="beta", units="ratio"),),
        compute=_beta,
        warmup=_period,
        memory=_period,
    ),
)
