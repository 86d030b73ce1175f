"""Which bars a calendar lets us expect, and which of them are there."""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain import calendars
from apps.marketdata.domain.quality.findings import MOST_FINDINGS, Finding, QualityCheck, Severity, moment, runs
from apps.marketdata.domain.timeframes import Timeframe

#: The desk's requirement: more than this share of the expected bars must be there.
REQUIRED_COMPLETENESS = 0.995
#: So many sessions without a new bar are an error; one is a warning, because a vendor may be late by an evening.
OLD_AFTER_SESSIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coverage:
    """Expected bars in order: `starts` datetime64[us] [E] in UTC, `present` bool [E]; `behind` sessions have ended since the last bar."""

    starts: NDArray[np.datetime64]
    present: NDArray[np.bool_]
    behind: int

    @property
    def expected(self) -> int:
        return len(self.starts)

    @property
    def completeness(self) -> float | None:
        """Present / expected, a fraction; None when nothing was expected."""
        return float(self.present.mean()) if len(self.present) else None

    @property
    def missing_runs(self) -> int:
        """Number of gaps."""
        return len(runs(~self.present)[0])


def coverage(
    ts: NDArray[np.datetime64], timeframe: Timeframe, calendar: str, upto: datetime, *, since: date | None = None, until: date | None = None
) -> Coverage | None:
    """What is expected from the first bar (or `since`, a listing) to the last session completed at `upto`, but before `until`, a delisting.

    `ts` are starts of bars [T] in UTC. An intraday bar is expected for every step of a session from its open to its close, half days
    to their early close; bars outside the session are allowed and not expected. A session that has only begun to be recorded counts
    from the first bar on. None for bars longer than a day, and without a bar or `since`: then nothing can be expected.
    """
    if timeframe > Timeframe.DAY or (since is None and not len(ts)):
        return None
    found = calendars.calendar_of(calendar)
    last = np.datetime64(calendars.last_completed_session(calendar, upto), "D")
    if until is not None:
        last = min(last, np.datetime64(until, "D") - 1)
    begin = np.datetime64(since, "D") if since is not None else _days(ts[:1], timeframe, calendar)[0]
    first_at, end_at = (int(at) for at in np.searchsorted(found.days, [begin, last + 1]))
    newest = _days(ts[-1:], timeframe, calendar)[0] if len(ts) else begin - 1
    behind = int(np.searchsorted(found.days, last + 1) - np.searchsorted(found.days, newest + 1))
    if timeframe is Timeframe.DAY:
        starts = found.days[first_at:end_at].astype("datetime64[us]")
        return Coverage(starts=starts, present=np.isin(starts, ts), behind=max(0, behind))
    return Coverage(behind=max(0, behind), **_intraday(ts, timeframe, found, first_at, end_at, from_first_bar=since is None))


def _intraday(
    ts: NDArray[np.datetime64], timeframe: Timeframe, found: calendars.Calendar, first_at: int, end_at: int, *, from_first_bar: bool
) -> dict[str, NDArray]:
    """Expected starts and their presence. Hourly bars that stand on full hours are expected there, else from the open on."""
    step = np.timedelta64(int(timeframe), "m").astype("timedelta64[us]")
    opens, closes = found.opens[first_at:end_at], found.closes[first_at:end_at]
    on_grid = not len(ts) or bool((ts.astype(np.int64) % step.astype(np.int64) == 0).all())
    anchors = (opens.astype(np.int64) // step.astype(np.int64) * step.astype(np.int64)).astype("datetime64[us]") if on_grid else opens
    counts = -((anchors - closes) // step).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    starts = np.repeat(anchors, counts) + within * step
    present = np.isin(starts, ts)
    if from_first_bar:
        begun = int(np.searchsorted(starts, ts[0]))
        starts, present = starts[begun:], present[begun:]
    return {"starts": starts, "present": present}


def completeness_by_month(found: Coverage) -> tuple[NDArray[np.datetime64], NDArray[np.int64], NDArray[np.int64]]:
    """Months datetime64[M] [M] with at least one expected bar, and the expected and present bars of each [M]."""
    months, at = np.unique(found.starts.astype("datetime64[M]"), return_inverse=True)
    return months, np.bincount(at, minlength=len(months)), np.bincount(at, weights=found.present, minlength=len(months)).astype(np.int64)


def coverage_findings(found: Coverage, timeframe: Timeframe) -> list[Finding]:
    """INCOMPLETE when not more than 99.5 % are there, a GAP for each of the longest runs without a bar, LAST_BAR_OLD.

    The tail after the last bar is no gap but an old last bar; it does count against completeness.
    """
    findings: list[Finding] = []
    share = found.completeness
    if share is not None and share <= REQUIRED_COMPLETENESS:
        missing = int((~found.present).sum())
        findings.append(
            Finding(
                check=QualityCheck.INCOMPLETE,
                severity=Severity.ERROR,
                first=moment(found.starts[0]),
                last=moment(found.starts[-1]),
                count=missing,
                text=f"{share:.2%} of {found.expected} expected bars are there, more than {REQUIRED_COMPLETENESS:.1%} are required",
                numbers={"completeness": share, "expected": found.expected, "present": found.expected - missing},
            )
        )
    return findings + _gaps(found, timeframe) + _old(found)


def _gaps(found: Coverage, timeframe: Timeframe) -> list[Finding]:
    last_bar = np.flatnonzero(found.present)
    if not len(last_bar):
        return []
    begins, ends = runs(~found.present[: last_bar[-1] + 1])
    order = np.argsort(begins - ends, kind="stable")[:MOST_FINDINGS]
    unit = "session" if timeframe is Timeframe.DAY else f"bar of {timeframe.code}"
    return [
        Finding(
            check=QualityCheck.GAP,
            severity=Severity.WARNING if timeframe is Timeframe.DAY else Severity.INFO,
            first=moment(found.starts[begins[run]]),
            last=moment(found.starts[ends[run] - 1]),
            count=int(ends[run] - begins[run]),
            text=f"no bar for {ends[run] - begins[run]} {unit}{'s' if ends[run] - begins[run] > 1 else ''} in a row",
            numbers={"gaps_in_all": len(begins)},
        )
        for run in sorted(order)
    ]


def _old(found: Coverage) -> list[Finding]:
    if found.behind == 0:
        return []
    last_bar = np.flatnonzero(found.present)
    at = moment(found.starts[last_bar[-1]]) if len(last_bar) else None
    severity = Severity.ERROR if found.behind > OLD_AFTER_SESSIONS else Severity.WARNING
    text = f"{found.behind} session{'s have' if found.behind > 1 else ' has'} ended since the last bar"
    return [
        Finding(
            check=QualityCheck.LAST_BAR_OLD,
            severity=severity,
            first=at,
            last=at,
            count=found.behind,
            text=text,
            numbers={"sessions_behind": found.behind, "error_after": OLD_AFTER_SESSIONS},
        )
    ]


def _days(ts: NDArray[np.datetime64], timeframe: Timeframe, calendar: str) -> NDArray[np.datetime64]:
    return calendars.local_dates(calendar, ts) if timeframe.is_intraday else ts.astype("datetime64[D]")
