"""Reference series as arrays: interest rates, factor returns, figures of the economy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.core.errors import NotFound
from apps.marketdata.models import ReferenceSeries
from apps.marketdata.selectors.bars import Moment, bounds
from apps.marketdata.selectors.points import REFERENCES, points_read


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceData:
    """One series in time order: `ts` datetime64[us] [T], the last day of each period; `value` float64 [T] in `unit`."""

    name: str
    title: str
    unit: str
    frequency: str
    source: str
    licence: str
    ts: NDArray[np.datetime64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ts)


def reference_series(name: str, start: Moment = None, end: Moment = None, as_of: datetime | None = None) -> ReferenceData:
    """A series over a range, as the desk knew it at `as_of` (None: now). Raises NotFound for a name that the desk does not have."""
    row = ReferenceSeries.objects.filter(name=name).first()
    if row is None:
        raise NotFound(f"there is no reference series {name!r}", field="name")
    points = points_read(REFERENCES, [row.pk], *bounds(start, end), as_of=as_of)
    said = {field: getattr(row, field) for field in ("name", "title", "unit", "frequency", "source", "licence")}
    return ReferenceData(**said, ts=points["ts"], value=points["value"])


def reference_names() -> tuple[str, ...]:
    """Names of all series."""
    return tuple(ReferenceSeries.objects.order_by("name").values_list("name", flat=True))


def reference_revision(name: str, start: date) -> tuple[Any, ...]:
    """Another value as soon as the series' points since `start` are others: how many there are, and when the desk learned the newest."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*), max(p.recorded_at) from marketdata_referencepoint p join marketdata_referenceseries s on s.id = p.series_id "
            "where s.name = %s and p.ts >= %s",
            [name, start],
        )
        return tuple(cursor.fetchone())


def reference_panel(
    names: Sequence[str], start: Moment = None, end: Moment = None, as_of: datetime | None = None
) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Several series on the union of their days: ts datetime64[us] [T], values float64 [T, N], NaN where a series has none. Two queries.

    Raises NotFound which names the series that the desk does not have.
    """
    ids = dict(ReferenceSeries.objects.filter(name__in=names).values_list("name", "pk"))
    if missing := [name for name in names if name not in ids]:
        raise NotFound(f"there is no reference series {', '.join(map(repr, missing))}", field="name")
    points = points_read(REFERENCES, list(ids.values()), *bounds(start, end), as_of=as_of)
    ts = np.unique(points["ts"])
    values = np.full((len(ts), len(names)), np.nan)
    for column, name in enumerate(names):
        mine = points["owner"] == ids[name]
        values[np.searchsorted(ts, points["ts"][mine]), column] = points["value"][mine]
    return ts, values
