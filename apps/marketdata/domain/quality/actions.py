"""Checks of corporate actions against the prices that they are about."""

from collections.abc import Mapping

import numpy as np

from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.quality.findings import Finding, QualityCheck, Severity, moment

#: A dividend above this part of the price before it must show in the price.
LARGE_YIELD = 0.10
#: A price that fell by less than this part of a large dividend did not pay it.
FELL_AT_LEAST = 0.5


def dividend_findings(bars: BarSeries, dividends: Mapping[np.datetime64, float]) -> list[Finding]:
    """Large dividends (money per share by ex-date datetime64[D]) whose ex-date shows no such fall: a wrong unit or a wrong date.

    Total returns computed from them would be wrong. For daily bars.
    """
    days = bars.ts.astype("datetime64[D]")
    findings = []
    for day, amount in sorted(dividends.items()):
        at = int(np.searchsorted(days, day))
        if not 0 < at < len(days):
            continue
        before, opened = float(bars.close[at - 1]), float(bars.open[at])
        part, fell = amount / before, 1 - opened / before
        if part > LARGE_YIELD and fell < FELL_AT_LEAST * part:
            findings.append(
                Finding(
                    check=QualityCheck.DIVIDEND_DOUBTFUL,
                    severity=Severity.ERROR,
                    first=moment(bars.ts[at]),
                    last=moment(bars.ts[at]),
                    count=1,
                    text=f"a dividend of {amount:g} is {part:.1%} of the price before it, and the price opened {-fell:+.1%}",
                    numbers={"dividend": amount, "yield": part, "opened": -fell},
                )
            )
    return findings
