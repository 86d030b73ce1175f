"""Bars as the data checks read them, and what the checks said."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import Max, QuerySet
from numpy.typing import NDArray

from apps.marketdata.domain.adjustment import Event
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.copy_format import Layout
from apps.marketdata.domain.quality.findings import Severity
from apps.marketdata.domain.quality.vendors import SourcedCloses
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind
from apps.marketdata.models import BarSource, Instrument, QualityFinding, SeriesQuality
from apps.marketdata.selectors.bars import bars_by_id, copy_out
from apps.marketdata.selectors.corporate_actions import events_by_id

SOURCED = Layout((("instrument_id", "int8"), ("ts", "timestamptz"), ("source_id", "int8"), ("close", "float8")))


def timeframes_stored(ids: Sequence[int]) -> dict[int, tuple[Timeframe, ...]]:
    """Time frames of which each instrument has bars. Jumps through the primary key: two short looks per instrument and time frame."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.id, t.frame from unnest(%s::bigint[]) as i(id), unnest(%s::int[]) as t(frame)"
            " where exists (select 1 from marketdata_bar where instrument_id = i.id and timeframe = t.frame)",
            [list(ids), [int(frame) for frame in Timeframe]],
        )
        rows = cursor.fetchall()
    found: dict[int, list[Timeframe]] = {}
    for pk, frame in rows:
        found.setdefault(pk, []).append(Timeframe(frame))
    return {pk: tuple(sorted(frames)) for pk, frames in found.items()}


def bars_to_check(instruments: Sequence[Instrument], timeframe: Timeframe, lower: datetime, upper: datetime) -> dict[int, BarSeries]:
    """Latest revisions of several instruments' bars by instrument id, read at once; without bars an empty series."""
    columns = bars_by_id([item.pk for item in instruments], timeframe, lower, upper)
    owner = columns.pop("instrument_id")
    ids = [item.pk for item in instruments]
    first, last = (np.searchsorted(owner, ids, side=side) for side in ("left", "right"))
    return {
        item.pk: BarSeries(symbol=item.symbol, **{name: values[a:b] for name, values in columns.items()})
        for item, a, b in zip(instruments, first, last, strict=True)
    }


def closes_by_source(ids: Sequence[int], timeframe: Timeframe, lower: datetime, upper: datetime) -> dict[int, SourcedCloses]:
    """Latest close of each source, of bars that were revised: only those can have two sources, because equal bars are stored once.

    The index of revised bars is nearly always empty, so this costs next to nothing where no vendor contradicts another.
    """
    query = (
        "select distinct on (b.instrument_id, b.ts, b.source_id) b.instrument_id, b.ts, b.source_id::bigint, b.close from marketdata_bar b join"
        " (select distinct instrument_id, timeframe, ts from marketdata_bar where revision > 0 and instrument_id = any(%(ids)s)"
        "  and timeframe = %(timeframe)s and ts >= %(lower)s and ts < %(upper)s) r"
        " on b.instrument_id = r.instrument_id and b.timeframe = r.timeframe and b.ts = r.ts"
        " order by b.instrument_id, b.ts, b.source_id, b.revision desc"
    )
    columns = copy_out(query, {"ids": list(ids), "timeframe": int(timeframe), "lower": lower, "upper": upper}, SOURCED)
    owner = columns["instrument_id"]
    return {pk: _closes(columns, owner == pk) for pk in np.unique(owner).tolist()}


def _closes(columns: Mapping[str, NDArray], rows: NDArray[np.bool_]) -> SourcedCloses:
    return SourcedCloses(ts=columns["ts"][rows], source=columns["source_id"][rows], close=columns["close"][rows])


@dataclass(frozen=True, slots=True)
class ActionsToCheck:
    """Applied corporate actions by instrument."""

    events: Mapping[int, Sequence[Event]]

    def splits(self, pk: int) -> dict[np.datetime64, float]:
        """New shares for one old share by ex-date."""
        return self._of(pk, ActionKind.SPLIT)

    def dividends(self, pk: int) -> dict[np.datetime64, float]:
        """Cash per share by ex-date."""
        return self._of(pk, ActionKind.DIVIDEND)

    def _of(self, pk: int, kind: ActionKind) -> dict[np.datetime64, float]:
        return {event.day: event.value for event in self.events.get(pk, ()) if event.kind is kind}


def actions_to_check(ids: Sequence[int]) -> ActionsToCheck:
    """The splits and dividends that are applied when bars are read, as known now. One query."""
    return ActionsToCheck(events_by_id(ids=ids, first=np.datetime64("1900-01-01"), last=np.datetime64("2999-12-31"), as_of=None))


def source_names() -> dict[int, str]:
    """Names of all sources by number."""
    return dict(BarSource.objects.values_list("pk", "name"))


def latest_quality() -> "QuerySet[SeriesQuality]":
    """The newest row of each series, with its instrument."""
    newest = SeriesQuality.objects.values("instrument", "timeframe").annotate(newest=Max("pk")).values("newest")
    return SeriesQuality.objects.filter(pk__in=newest).select_related("instrument", "run")


def latest_findings() -> "QuerySet[QualityFinding]":
    """Findings of each series' newest run, with their instruments."""
    newest = SeriesQuality.objects.values("instrument", "timeframe").annotate(newest=Max("run")).values("newest")
    with_run = QualityFinding.objects.filter(run__in=newest).select_related("instrument")
    return with_run.extra(
        where=[
            "marketdata_qualityfinding.run_id = (select max(q.run_id) from marketdata_seriesquality q where"
            " q.instrument_id = marketdata_qualityfinding.instrument_id and q.timeframe = marketdata_qualityfinding.timeframe)"
        ]
    )


def errors_known(ids: Iterable[int]) -> set[tuple[Any, ...]]:
    """Errors of the newest runs by what makes them the same: instrument, time frame, check, first bar. Asked before a new run is stored."""
    rows = latest_findings().filter(severity=Severity.ERROR, instrument__in=list(ids))
    return set(rows.values_list("instrument_id", "timeframe", "check_code", "first"))
