"""Indicators of volume."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from apps.marketdata.domain.indicators.kinds import Columns, Indicator, Line, Numbers, Values


def _obv(columns: Columns, _values: Values) -> Mapping[str, Numbers]:
    close, volume = columns["close"], columns["volume"]
    way = np.sign(np.diff(close, prepend=close[:1]))
    way[0] = 1.0
    return {"obv": np.cumsum(way * volume)}


def _vwap(columns: Columns, _values: Values) -> Mapping[str, Numbers]:
    """Sums that begin again at each change of the session: the running sum less what it was before the session."""
    volume = columns["volume"]
    money = volume * (columns["high"] + columns["low"] + columns["close"]) / 3.0
    session = columns["session"]
    result = np.empty(len(volume))
    edges = [0, *(np.flatnonzero(session[1:] != session[:-1]) + 1).tolist(), len(volume)]
    for first, last in pairwise(edges):
        traded = np.cumsum(volume[first:last])
        with np.errstate(divide="ignore", invalid="ignore"):
            result[first:last] = np.where(traded > 0, np.cumsum(money[first:last]) / traded, np.nan)
    return {"vwap": result}


def _none(_values: Values) -> int:
    return 0


def _everything(_values: Values) -> None:
    return None


INDICATORS = (
    Indicator(
        name="obv",
        title="On-balance volume",
        description="Volume added on a rise and taken off on a fall of the close, from the first bar's volume on.",
        source="Granville (1963); TA-Lib",
        convention="begins with the first bar that is read, so only its changes mean something",
        columns=("close", "volume"),
        lines=(Line(name="obv", units="shares"),),
        compute=_obv,
        warmup=_none,
        memory=_everything,
    ),
    Indicator(
        name="vwap",
        title="Volume-weighted average price",
        description="Typical prices of the session so far, weighted by volume.",
        source="Berkowitz, Logue and Noser (1988), with the typical price (high + low + close) / 3 of each bar",
        convention="begins again where `session` changes; without it all bars are one session; NaN until something has traded",
        columns=("high", "low", "close", "volume", "session"),
        optional=("session",),
        lines=(Line(name="vwap", units="price"),),
        compute=_vwap,
        warmup=_none,
        memory=_everything,
        overlay=True,
    ),
)
