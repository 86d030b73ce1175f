"""All checks of one series together, and what is worth saying of it in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.quality.actions import dividend_findings
from apps.marketdata.domain.quality.coverage import Coverage, coverage, coverage_findings
from apps.marketdata.domain.quality.findings import Finding, QualityCheck, Severity, moment
from apps.marketdata.domain.quality.jumps import jump_findings
from apps.marketdata.domain.quality.values import ohlc_findings, unchanged_findings, volume_findings
from apps.marketdata.domain.quality.vendors import SourcedCloses, vendor_findings
from apps.marketdata.domain.timeframes import Timeframe


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesFacts:
    """What is known about a series beside its bars. Splits are new shares for one old one, dividends money per share, by ex-date [D]."""

    calendar: str
    index: bool = False
    listed: date | None = None
    delisted: date | None = None
    splits: Mapping[np.datetime64, float] = field(default_factory=dict)
    dividends: Mapping[np.datetime64, float] = field(default_factory=dict)
    vendors: SourcedCloses | None = None
    vendor_names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesReport:
    """What the checks say of one series. `completeness` is a fraction, `behind` sessions since the last bar (None: not expected)."""

    symbol: str
    timeframe: Timeframe
    rows: int
    first: datetime | None
    last: datetime | None
    completeness: float | None
    expected: int
    gaps: int
    behind: int | None
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """Number of findings of one severity."""
        return sum(item.severity is severity for item in self.findings)


def check_series(bars: BarSeries, timeframe: Timeframe, upto: datetime, facts: SeriesFacts) -> SeriesReport:
    """Run every check that applies to the time frame. `upto` is the market's time: what is expected ends with its last completed session."""
    found = coverage(bars.ts, timeframe, facts.calendar, upto, since=facts.listed, until=facts.delisted)
    findings = [] if len(bars) else [_no_bars()]
    if found is not None:
        findings += coverage_findings(found, timeframe)
    if len(bars):
        findings += [*ohlc_findings(bars, index=facts.index), *volume_findings(bars)]
        findings += _prices(bars, timeframe, facts)
    if facts.vendors is not None:
        findings += vendor_findings(facts.vendors, dict(facts.vendor_names))
    return _report(bars, timeframe, found, findings)


def _prices(bars: BarSeries, timeframe: Timeframe, facts: SeriesFacts) -> list[Finding]:
    """Moves of bars longer than a day mix many days, and a minute's close often stands still: both say nothing there."""
    if timeframe > Timeframe.DAY:
        return []
    findings = jump_findings(bars, splits=facts.splits)
    if timeframe is Timeframe.DAY:
        findings += [*unchanged_findings(bars), *dividend_findings(bars, facts.dividends)]
    return findings


def _report(bars: BarSeries, timeframe: Timeframe, found: Coverage | None, findings: list[Finding]) -> SeriesReport:
    return SeriesReport(
        symbol=bars.symbol,
        timeframe=timeframe,
        rows=len(bars),
        first=moment(bars.ts[0]) if len(bars) else None,
        last=moment(bars.ts[-1]) if len(bars) else None,
        completeness=found.completeness if found else None,
        expected=found.expected if found else 0,
        gaps=found.missing_runs if found else 0,
        behind=found.behind if found else None,
        findings=tuple(findings),
    )


def _no_bars() -> Finding:
    return Finding(check=QualityCheck.NO_BARS, severity=Severity.WARNING, first=None, last=None, count=0, text="no bar is stored")
