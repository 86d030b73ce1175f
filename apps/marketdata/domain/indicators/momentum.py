"""Indicators of momentum: oscillators and rates of change."""

from collections.abc import Callable

from apps.marketdata.domain.indicators.kinds import Compute, Indicator, Line, Values, bars, from_talib, wilder_memory

HLC = ("high", "low", "close")


_rsi = from_talib("RSI", ("close",), ("rsi",), timeperiod="period")
_stoch = from_talib("STOCH", HLC, ("k", "d"), fastk_period="period", slowk_period="slow_k", slowd_period="slow_d")
_stochrsi = from_talib("STOCHRSI", ("close",), ("k", "d"), timeperiod="period", fastk_period="k", fastd_period="d")
_cci = from_talib("CCI", HLC, ("cci",), timeperiod="period")
_willr = from_talib("WILLR", HLC, ("willr",), timeperiod="period")
_mfi = from_talib("MFI", (*HLC, "volume"), ("mfi",), timeperiod="period")
_roc = from_talib("ROC", ("close",), ("roc",), timeperiod="period")
_mom = from_talib("MOM", ("close",), ("mom",), timeperiod="period")


def _period(values: Values) -> int:
    return int(values["period"])


def _before(values: Values) -> int:
    return _period(values) - 1


def _stoch_warmup(values: Values) -> int:
    return int(values["period"] + values["slow_k"] + values["slow_d"] - 3)


def _stochrsi_warmup(values: Values) -> int:
    return int(values["period"] + values["k"] + values["d"] - 2)


def _plain(
    name: str,
    title: str,
    columns: tuple[str, ...],
    compute: Compute,
    *,
    default: int,
    units: str,
    description: str,
    source: str,
    warmup: Callable[[Values], int],
    least: int = 1,
) -> Indicator:
    return Indicator(
        name=name,
        title=title,
        description=description,
        source=source,
        columns=columns,
        parameters=(bars(default, least=least),),
        lines=(Line(name=name, units=units),),
        compute=compute,
        warmup=warmup,
        memory=warmup,
    )


INDICATORS = (
    Indicator(
        name="rsi",
        title="Relative strength index",
        description="Average gain as a part of average gain and average loss, by Wilder's smoothing, seeded by the simple mean of the first changes.",
        source="Wilder (1978); TA-Lib",
        convention="0 to 100; 0 while no price has moved",
        columns=("close",),
        parameters=(bars(14, least=2),),
        lines=(Line(name="rsi", units="points"),),
        compute=_rsi,
        warmup=_period,
        memory=lambda values: values["period"] + wilder_memory(values["period"]),
    ),
    Indicator(
        name="stoch",
        title="Stochastic oscillator",
        description="Where the close lies between the lowest low and the highest high, averaged once (k) and twice (d).",
        source="Lane (1984); TA-Lib, with the customary 14, 3, 3",
        columns=HLC,
        parameters=(
            bars(14, "bars of the range", aliases=("fastk_period", "fast_k")),
            bars(3, "bars of the first average", name="slow_k", aliases=("slowk_period",)),
            bars(3, "bars of the second average", name="slow_d", aliases=("slowd_period",)),
        ),
        lines=(Line(name="k", units="points"), Line(name="d", units="points")),
        compute=_stoch,
        warmup=_stoch_warmup,
        memory=_stoch_warmup,
    ),
    Indicator(
        name="stochrsi",
        title="Stochastic RSI",
        description="Where the RSI lies in its own range (k), and the average of that (d).",
        source="Chande and Kroll, The New Technical Trader (1994); TA-Lib",
        columns=("close",),
        parameters=(
            bars(14, "bars of the RSI", least=2),
            bars(14, "bars of the range", name="k", aliases=("fastk_period",)),
            bars(3, "bars of the average", name="d", aliases=("fastd_period",)),
        ),
        lines=(Line(name="k", units="points"), Line(name="d", units="points")),
        compute=_stochrsi,
        warmup=_stochrsi_warmup,
        memory=lambda values: _stochrsi_warmup(values) + wilder_memory(values["period"]),
    ),
    _plain(
        "cci",
        "Commodity channel index",
        HLC,
        _cci,
        default=20,
        units="ratio",
        description="Distance of the typical price from its mean, in units of 0.015 mean deviations.",
        source="Lambert (1980); TA-Lib",
        warmup=_before,
        least=2,
    ),
    _plain(
        "willr",
        "Williams %R",
        HLC,
        _willr,
        default=14,
        units="points",
        description="Distance of the close from the highest high in percent of the range, -100 to 0.",
        source="Williams (1973); TA-Lib",
        warmup=_before,
        least=2,
    ),
    _plain(
        "mfi",
        "Money flow index",
        (*HLC, "volume"),
        _mfi,
        default=14,
        units="points",
        description="Money on days of a rising typical price as a part of all money of the last bars.",
        source="Quong and Soudack (1989); TA-Lib",
        warmup=_period,
        least=2,
    ),
    _plain(
        "roc",
        "Rate of change",
        ("close",),
        _roc,
        default=10,
        units="percent",
        description="Change against the close so many bars ago: 5 is five percent.",
        source="TA-Lib",
        warmup=_period,
    ),
    _plain(
        "mom",
        "Momentum",
        ("close",),
        _mom,
        default=10,
        units="price",
        description="Close minus the close so many bars ago.",
        source="TA-Lib",
        warmup=_period,
    ),
)
