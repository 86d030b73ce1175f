"""The data checks: bars are read in bulk, judged by `domain.quality`, and what was found is stored, told and, where a rule says so, quarantined."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.core.jobs import NullProgress, Progress, job_create
from apps.core.models import JobRun
from apps.core.tasks import enqueue_on_commit
from apps.marketdata.domain.quality.findings import Finding, Severity
from apps.marketdata.domain.quality.series import SeriesFacts, SeriesReport, check_series
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument, QualityFinding, QualityRun, SeriesQuality
from apps.marketdata.selectors.bars import bar_range, bounds, visible_until
from apps.marketdata.selectors.instruments import instruments_get, is_published_index
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quality import actions_to_check, bars_to_check, closes_by_source, errors_known, source_names, timeframes_stored
from apps.marketdata.services.quality_actions import errors_quarantine, errors_tell

if TYPE_CHECKING:
    from apps.core.models import User

TASK = "marketdata.check_data_now"
#: So many instruments are read at once: about 50 MB of daily bars of twenty years, a few hundred of a year of minutes.
CHUNK = {Timeframe.DAY: 100, Timeframe.WEEK: 500, Timeframe.MONTH: 500}
CHUNK_INTRADAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """What to check. No symbols: every instrument. No time frames: those of which there are bars, and daily bars of what can be traded."""

    symbols: tuple[str, ...] = ()
    timeframes: tuple[Timeframe, ...] = ()
    start: date | None = None
    end: date | None = None

    def __post_init__(self) -> None:
        """Raises InvalidInput for days in the wrong order and for a symbol that is given twice."""
        if self.start is not None and self.end is not None and self.end < self.start:
            raise InvalidInput(f"the end {self.end} lies before the start {self.start}", field="end")
        if len(set(self.symbols)) != len(self.symbols):
            raise InvalidInput("a symbol is given twice", field="symbols")

    def as_dict(self) -> dict[str, Any]:
        """JSON form, from which `check_request` makes the request again."""
        frames = [frame.code for frame in self.timeframes]
        return dict(plain({"symbols": list(self.symbols), "timeframes": frames, "start": self.start, "end": self.end}))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a run found. `interrupted`: somebody asked to stop, and only the series named here were checked."""

    run_id: int
    market_time: datetime
    series: tuple[SeriesReport, ...]
    new_errors: int
    quarantined: tuple[str, ...]
    interrupted: bool

    def count(self, severity: Severity) -> int:
        """Number of findings of one severity."""
        return sum(item.count(severity) for item in self.series)

    def totals(self) -> dict[str, Any]:
        """The run in numbers, as a job's result shows it."""
        counts = {f"{severity}s": self.count(severity) for severity in Severity}
        return {"run": self.run_id, "series": len(self.series), **counts, "new_errors": self.new_errors, "quarantined": list(self.quarantined)}

    def as_dict(self) -> dict[str, Any]:
        """JSON form with every finding."""
        return {**self.totals(), "market_time": plain(self.market_time), "results": [_series_dict(item) for item in self.series]}


def _series_dict(item: SeriesReport) -> dict[str, Any]:
    return dict(plain(item)) | {"timeframe": item.timeframe.code}


def check_request(data: Mapping[str, Any]) -> CheckRequest:
    """The request of its JSON form. Raises as CheckRequest does."""
    days = {name: None if data.get(name) is None else date.fromisoformat(data[name]) for name in ("start", "end")}
    frames = tuple(Timeframe.parse(code) for code in data.get("timeframes", ()))
    return CheckRequest(symbols=tuple(data.get("symbols", ())), timeframes=frames, **days)


def check_queue(*, request: CheckRequest, user: "User", at: datetime) -> JobRun:
    """Queue the checks as a job of the user. Raises NotFound for an unknown symbol."""
    instruments_get(request.symbols)
    with transaction.atomic():
        job = job_create(job=TASK, at=at, parameters=request.as_dict(), requested_by=user)
        enqueue_on_commit(TASK, queue="data", job_run_id=job.pk)
    return job


def data_check(
    *,
    request: CheckRequest,
    now: datetime,
    user: "User | None" = None,
    job_run_id: int | None = None,
    quarantine: bool = True,
    progress: Progress | None = None,
) -> CheckReport:
    """Check series by series, store each chunk of them as soon as it is judged, then tell operators of errors that are new.

    Errors of the kinds in settings.QUARANTINE_CHECKS put the data of their days into quarantine, unless `quarantine` is False.
    Nothing after the market's time is looked at: during a replay the future does not exist. Raises NotFound for an unknown symbol.
    """
    progress = progress or NullProgress()
    instruments = _instruments(request)
    plan = _plan(request, instruments)
    market_time = market_clock(now).market_time
    run = QualityRun.objects.create(job_run_id=job_run_id, requested_by=user, parameters=request.as_dict(), market_time=market_time, recorded_at=now)
    known = errors_known([item.pk for item in instruments])
    progress.start(sum(len(chunk) for _, chunk in plan), "checking bars")
    reports: list[tuple[Instrument, SeriesReport]] = []
    interrupted = False
    for timeframe, chunk in plan:
        if interrupted := progress.cancelled():
            break
        found = _judge(chunk, timeframe, request, now, market_time)
        _store(run, found, now)
        reports += found
        progress.advance(len(chunk))
        progress.say(f"{timeframe.code}: {chunk[0].symbol} to {chunk[-1].symbol}, {sum(len(report.findings) for _, report in found)} findings")
    fresh = [(item, report, finding) for item, report, finding in _errors(reports) if _key(item, report, finding) not in known]
    errors_tell(fresh, market_time=market_time, now=now)
    held = errors_quarantine(list(_errors(reports)), at=now) if quarantine else ()
    return CheckReport(
        run_id=run.pk,
        market_time=market_time,
        series=tuple(report for _, report in reports),
        new_errors=len(fresh),
        quarantined=held,
        interrupted=interrupted,
    )


def _instruments(request: CheckRequest) -> list[Instrument]:
    return list(instruments_get(request.symbols).values()) if request.symbols else list(Instrument.objects.order_by("symbol"))


def _plan(request: CheckRequest, instruments: Sequence[Instrument]) -> list[tuple[Timeframe, list[Instrument]]]:
    """Which instruments are read together: same time frame, same calendar, not too many."""
    stored = timeframes_stored([item.pk for item in instruments])
    wanted = [(frame, item) for item in instruments for frame in _frames(request, item, stored.get(item.pk, ()))]
    wanted.sort(key=lambda pair: (pair[0], pair[1].calendar, pair[1].symbol))
    plan: list[tuple[Timeframe, list[Instrument]]] = []
    for (frame, _), group in groupby(wanted, key=lambda pair: (pair[0], pair[1].calendar)):
        members = [item for _, item in group]
        size = CHUNK.get(frame, CHUNK_INTRADAY)
        plan += [(frame, members[start : start + size]) for start in range(0, len(members), size)]
    return plan


def _frames(request: CheckRequest, item: Instrument, stored: tuple[Timeframe, ...]) -> tuple[Timeframe, ...]:
    if request.timeframes:
        return tuple(frame for frame in request.timeframes if frame in stored or item.tradable)
    return stored or ((Timeframe.DAY,) if item.tradable else ())


def _judge(
    chunk: list[Instrument], timeframe: Timeframe, request: CheckRequest, now: datetime, market_time: datetime
) -> list[tuple[Instrument, SeriesReport]]:
    ids, calendar = [item.pk for item in chunk], chunk[0].calendar
    end = visible_until(now, timeframe=timeframe, end=request.end, calendar=calendar)
    lower, upper = bounds(request.start, end)
    bars = bars_to_check(chunk, timeframe, lower, upper)
    since = _since(chunk, timeframe, request.start)
    actions = actions_to_check(ids)
    vendors = closes_by_source(ids, timeframe, lower, upper)
    names = source_names() if vendors else {}
    upto = market_time if request.end is None else min(market_time, bounds(None, request.end)[1])
    return [
        (
            item,
            check_series(
                bars[item.pk],
                timeframe,
                upto,
                SeriesFacts(
                    calendar=calendar,
                    index=is_published_index(item),
                    listed=since.get(item.symbol),
                    delisted=item.delisted_on,
                    splits=actions.splits(item.pk),
                    dividends=actions.dividends(item.pk),
                    vendors=vendors.get(item.pk),
                    vendor_names=names,
                ),
            ),
        )
        for item in chunk
    ]


def _since(chunk: list[Instrument], timeframe: Timeframe, start: date | None) -> dict[str, date]:
    """The start from which bars are expected, for instruments that have bars before it; the others are expected from their first bar on."""
    if start is None:
        return {}
    ranges = bar_range(symbols=[item.symbol for item in chunk], timeframe=timeframe)
    return {symbol: start for symbol, (first, _) in ranges.items() if first.date() < start}


def _store(run: QualityRun, found: list[tuple[Instrument, SeriesReport]], at: datetime) -> None:
    with transaction.atomic():
        SeriesQuality.objects.bulk_create([_series_row(run, item, report, at) for item, report in found])
        QualityFinding.objects.bulk_create(
            [_finding_row(run, item, report, finding, at) for item, report in found for finding in report.findings], batch_size=500
        )


def _series_row(run: QualityRun, item: Instrument, report: SeriesReport, at: datetime) -> SeriesQuality:
    return SeriesQuality(
        run=run,
        instrument=item,
        timeframe=int(report.timeframe),
        rows=report.rows,
        first_bar=report.first,
        last_bar=report.last,
        sessions_behind=report.behind,
        expected=report.expected,
        completeness=report.completeness,
        gaps=report.gaps,
        errors=report.count(Severity.ERROR),
        warnings=report.count(Severity.WARNING),
        infos=report.count(Severity.INFO),
        recorded_at=at,
    )


def _finding_row(run: QualityRun, item: Instrument, report: SeriesReport, finding: Finding, at: datetime) -> QualityFinding:
    return QualityFinding(
        run=run,
        instrument=item,
        timeframe=int(report.timeframe),
        check_code=finding.check.value,
        severity=finding.severity.value,
        first=finding.first,
        last=finding.last,
        count=finding.count,
        text=finding.text[:500],
        numbers=plain(finding.numbers),
        found_at=at,
    )


def _errors(reports: list[tuple[Instrument, SeriesReport]]) -> Iterator[tuple[Instrument, SeriesReport, Finding]]:
    for item, report in reports:
        for finding in report.findings:
            if finding.severity is Severity.ERROR:
                yield item, report, finding


def _key(item: Instrument, report: SeriesReport, finding: Finding) -> tuple[Any, ...]:
    return item.pk, int(report.timeframe), finding.check.value, finding.first
