"""Files of reference series into the desk: Fama-French factors, and any file with a date and one column for each series."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.core.jobs import NullProgress, Progress
from apps.core.locks import lock_transaction
from apps.marketdata.domain.points import PointRows
from apps.marketdata.domain.validation import Findings, Problem, Rejection, check_duplicates
from apps.marketdata.domain.value_columns import FAMA_FRENCH, MONTH, QUARTER
from apps.marketdata.domain.vendor_columns import plain_title
from apps.marketdata.models import ReferenceSeries
from apps.marketdata.providers import cells
from apps.marketdata.providers.files import FileTable, read_file, read_titles
from apps.marketdata.selectors.points import REFERENCES
from apps.marketdata.services.imports import FileReport, ImportReport, SymbolReport
from apps.marketdata.services.points import points_merge
from apps.marketdata.services.storing import LOCK_TIMEOUT_MS, changes

FREQUENCIES = {"D": "day", "W": "week", "M": "month", "Q": "quarter", "A": "year"}
NAME = re.compile(r"[a-z0-9][a-z0-9_.]{0,59}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPlan:
    """How a file becomes series: `names` title of a column -> name of its series; values are multiplied by `scale`.

    `title` of a series is its own name where it is not given.
    """

    names: Mapping[str, str]
    unit: str
    frequency: str
    source: str
    licence: str
    scale: float = 1.0
    titles: Mapping[str, str] | None = None


FAMA_FRENCH_TITLES = {
    "ff.mkt_rf": "Market return less the risk-free rate",
    "ff.smb": "Small minus big",
    "ff.hml": "High minus low book-to-market",
    "ff.rmw": "Robust minus weak profitability",
    "ff.cma": "Conservative minus aggressive investment",
    "ff.rf": "Risk-free rate (one-month Treasury bill)",
    "ff.mom": "Momentum",
}


def fama_french_plan(path: Path, *, frequency: str = "M") -> SeriesPlan:
    """How a file of the Kenneth R. French Data Library becomes series: percent there, fractions here. Raises InvalidInput without its columns."""
    names = {title: FAMA_FRENCH[plain_title(title)] for title in read_titles(path) if plain_title(title) in FAMA_FRENCH}
    if "ff.mkt_rf" not in names.values() or "ff.rf" not in names.values():
        raise InvalidInput(f"{path}: no columns Mkt-RF and RF, which files of Fama-French factors have", field="file")
    return SeriesPlan(
        names=names,
        unit=f"fraction per {FREQUENCIES[frequency]}",
        frequency=frequency,
        source="Kenneth R. French Data Library",
        licence="(c) Fama and French; free use with credit",
        scale=0.01,
        titles=FAMA_FRENCH_TITLES,
    )


def columns_plan(
    path: Path, *, prefix: str, unit: str, frequency: str, source: str, licence: str, scale: float = 1.0, columns: Sequence[str] = ()
) -> SeriesPlan:
    """How a file with a date in the first column becomes series, one a column, named prefix + title.

    Raises InvalidInput for columns that the file has not, and for names that no series may have.
    """
    titles = read_titles(path)
    if missing := [name for name in columns if name not in titles[1:]]:
        raise InvalidInput(f"{path}: no column {', '.join(missing)} among {', '.join(titles)}", field="columns")
    names = {title: prefix + re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") for title in (columns or titles[1:])}
    return SeriesPlan(names=names, unit=unit, frequency=frequency, source=source, licence=licence, scale=scale)


def series_import(
    *, file: Path, plan: SeriesPlan, strict: bool = False, dry_run: bool = False, recorded_at: datetime, progress: Progress | None = None
) -> ImportReport:
    """Store the good values of a file in one transaction; a different value is a new revision, an empty cell or a full stop is no value.

    Raises InvalidInput for a plan that makes no series and for a file that cannot be read.
    """
    progress = progress or NullProgress()
    _refuse_plan(plan)
    table = read_file(file)
    progress.start(len(plan.names), f"importing {file.name}")
    days = _days(table, plan.frequency)
    parts = [_column(table, days, title, name, plan) for title, name in plan.names.items()]
    malformed = [Rejection(file=table.name, line=line, column="", code=Problem.MALFORMED_LINE, text=text) for line, text in table.malformed]
    rejected = tuple(sorted([*malformed, *(item for part in parts for item in part.rejected)], key=lambda item: (item.line, item.column)))
    stored = not (strict and rejected)
    reports = []
    with transaction.atomic():
        lock_transaction(*(f"marketdata.series:{name}" for name in plan.names.values()), timeout_ms=LOCK_TIMEOUT_MS)
        for part in parts:
            reports += _store(part, plan, recorded_at, dry_run=dry_run or not stored)
            progress.advance()
    rows = len(table) + len(table.malformed)
    return ImportReport(files=(FileReport(file=str(file), rows=rows, stored=stored, symbols=tuple(reports), rejected=rejected),))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """Good values of one series, and what was wrong with its column."""

    name: str
    ts: NDArray[np.datetime64]
    value: NDArray[np.float64]
    rejected: tuple[Rejection, ...]


def _refuse_plan(plan: SeriesPlan) -> None:
    if plan.frequency not in FREQUENCIES:
        raise InvalidInput(f"{plan.frequency!r} is none of {', '.join(FREQUENCIES)}", field="frequency")
    for field in ("unit", "source", "licence"):
        if not getattr(plan, field).strip():
            raise InvalidInput(f"a series has a {field}", field=field)
    bad = [name for name in plan.names.values() if not NAME.fullmatch(name)]
    if not plan.names or bad or len(set(plan.names.values())) != len(plan.names):
        raise InvalidInput(f"names of series are small letters, digits, dots and underscores, each once: {', '.join(bad) or 'none'}", field="name")


def _days(table: FileTable, frequency: str) -> list[date | None]:
    """The last day of the period that each row's first cell names; None where it names none."""
    return [period_end(str(cell.as_py()), frequency) for cell in table.columns[0]]


def period_end(text: str, frequency: str) -> date | None:
    """The last day of 1926-07, 192607, 1959Q1 or 2012-01-03 (which is its own, except for months and longer)."""
    if quarter := QUARTER.fullmatch(text):
        return _last_of_month(int(quarter[1]), int(quarter[2]) * 3)
    if month := MONTH.fullmatch(text):
        return _last_of_month(int(month[1]), int(month[2]))
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    ends = {"M": day.month, "Q": (day.month + 2) // 3 * 3, "A": 12}
    return _last_of_month(day.year, ends[frequency]) if frequency in ends else day


def _last_of_month(year: int, month: int) -> date | None:
    if not 1 <= month <= 12 or year < 1:
        return None
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def _column(table: FileTable, days: list[date | None], title: str, name: str, plan: SeriesPlan) -> _Part:
    column = table.columns[table.titles.index(title)]
    findings = Findings(len(table))
    findings.bad |= cells.absent(column)
    written = [str(cell.as_py()) for cell in table.columns[0]]
    unread = np.array([day is None for day in days], bool)
    findings.reject(unread, table.titles[0], Problem.NOT_A_TIME, lambda row: f"{written[row]!r} is not a date, a month or a quarter")
    value = cells.numbers(column, title, findings) * plan.scale
    ts = np.array([np.datetime64(day or date.min, "us") for day in days], "datetime64[us]")
    check_duplicates(PointRows(owner=np.zeros(len(table), np.int64), ts=ts, value=value), findings)
    rejected = findings.rejections(file=table.name, lines=table.lines)
    good = ~findings.bad
    return _Part(name=name, ts=ts[good], value=value[good], rejected=tuple(rejected))


def _store(part: _Part, plan: SeriesPlan, recorded_at: datetime, *, dry_run: bool) -> list[SymbolReport]:
    if not len(part.ts):
        return []
    said = {"unit": plan.unit, "frequency": plan.frequency, "source": plan.source, "licence": plan.licence}
    said["title"] = (plan.titles or {}).get(part.name, part.name)
    series = ReferenceSeries.objects.filter(name=part.name).first()
    if series is None:
        series = ReferenceSeries(name=part.name, **said, pk=-1) if dry_run else ReferenceSeries.objects.create(name=part.name, **said)
    elif (series.unit, series.frequency) != (plan.unit, plan.frequency):
        raise InvalidInput(f"{part.name} is in {series.unit} by {FREQUENCIES[series.frequency]} already", field="unit")
    rows = {"owner": np.full(len(part.ts), series.pk, np.int64), "ts": part.ts, "value": part.value}
    change = points_merge(REFERENCES, rows, recorded_at=recorded_at, dry_run=dry_run)
    first, last = (moment.item().replace(tzinfo=UTC) for moment in (part.ts.min(), part.ts.max()))
    return [SymbolReport(symbol=part.name, first=first, last=last, gaps=(), **changes(change))]
