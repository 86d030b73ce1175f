"""Bars into the desk: from arrays in memory (`bars_store`) and from files (`bars_import`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.merging import BarRows
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.validation import Findings, check_duplicates, check_times, check_values
from apps.marketdata.selectors.instruments import index_ids, instruments_get
from apps.marketdata.services.corporate_actions import actions_recheck
from apps.marketdata.services.imports import FileReport, ImportReport, SymbolReport, bars_import
from apps.marketdata.services.storing import bar_source_id, bars_lock, bars_merge, changes

__all__ = ["FileReport", "ImportReport", "StoreResult", "SymbolReport", "bars_import", "bars_store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreResult:
    """Numbers of bars that were new, that became a new revision, and that were known with the same values."""

    inserted: int
    revised: int
    unchanged: int


def bars_store(*, series: Sequence[BarSeries], timeframe: Timeframe, source: str, recorded_at: datetime) -> StoreResult:
    """Store bars from memory in one transaction, all or nothing.

    Raises NotFound for an unknown symbol, and InvalidInput which names symbol, time and fault of the first bad bar.
    """
    instruments = instruments_get(item.symbol for item in series)
    ids = {symbol: item.pk for symbol, item in instruments.items()}
    rows = _rows(series, ids)
    findings = Findings(len(rows))
    indices = index_ids(instruments.values())
    check_values(rows, findings, indices=indices)
    check_times(rows, timeframe, {item.pk: item.calendar for item in instruments.values()}, findings)
    check_duplicates(rows, findings)
    if findings.bad.any():
        first = findings.rejections(file="", lines=np.arange(len(rows)))[0]
        symbol = next(symbol for symbol, pk in ids.items() if pk == rows.instrument_id[first.line])
        raise InvalidInput(f"{symbol} {rows.ts[first.line]}: {first.text}", field=first.column, rejected=int(findings.bad.sum()))
    with transaction.atomic():
        bars_lock(ids.values(), timeframe)
        change = bars_merge(rows, timeframe=timeframe, source_id=bar_source_id(source), recorded_at=recorded_at, indices=indices)
        if timeframe is Timeframe.DAY:
            actions_recheck(instrument_ids=ids.values(), recorded_at=recorded_at)
    return StoreResult(**changes(change))


def _rows(series: Sequence[BarSeries], ids: dict[str, int]) -> BarRows:
    empty = [np.empty(0)]
    return BarRows(
        instrument_id=np.concatenate([np.full(len(item), ids[item.symbol], np.int64) for item in series] or empty).astype(np.int64),
        ts=np.concatenate([item.ts for item in series] or empty).astype("datetime64[us]"),
        **{name: np.concatenate([getattr(item, name) for item in series] or empty).astype(np.float64) for name in FIELDS},
    )
