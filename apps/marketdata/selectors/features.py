"""Stored feature sets, and how far back a feature must be read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from django.db import connection

from apps.core.errors import IntegrityBroken, InvalidInput, NotFound
from apps.marketdata.domain.features import FeatureSet
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import FeatureSetDefinition
from apps.marketdata.selectors.bars import bounds, ids_with_bars


def feature_set_get(name: str) -> FeatureSet:
    """A stored set by "name" (its latest version) or "name:version".

    Raises NotFound, and IntegrityBroken for a definition that this code can no longer read.
    """
    wanted, _, version = name.partition(":")
    found = FeatureSetDefinition.objects.filter(name=wanted)
    if version:
        if not version.isdecimal():
            raise InvalidInput(f"{version!r} is no version of {wanted}", field="set")
        found = found.filter(version=int(version))
    definition = found.order_by("-version").first()
    if definition is None:
        raise NotFound(f"there is no feature set {name!r}", field="set")
    try:
        return FeatureSet.parse(str(definition), definition.specs)
    except InvalidInput as error:
        raise IntegrityBroken(f"feature set {definition}: {error.field}: {error.detail}", field="set") from error


def bars_before(ids: Sequence[int], timeframe: Timeframe, moment: datetime, count: int) -> datetime:
    """Start of the earliest bar that must be read so that each instrument has `count` bars before the moment, or all that it has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select min(b.ts) from unnest(%(ids)s::bigint[]) as i(id), lateral (select min(ts) as ts from ("
            "  select ts from marketdata_bar where instrument_id = i.id and timeframe = %(timeframe)s and ts < %(moment)s and revision = 0"
            "  order by ts desc limit %(count)s) before) b",
            {"ids": list(ids), "timeframe": int(timeframe), "moment": moment, "count": count},
        )
        (found,) = cursor.fetchone()
    return found or moment


def warm_start(ids: Sequence[int], timeframe: Timeframe, moment: datetime, count: int) -> datetime:
    """The same for bars of any time frame. Bars that are made of shorter ones are not counted but allowed for: by days of five hours."""
    earliest = bars_before(ids, timeframe, moment, count)
    if len(ids_with_bars(ids, timeframe, *bounds(None, moment))) == len(set(ids)):
        return earliest
    per_day = {Timeframe.WEEK: 1 / 7, Timeframe.MONTH: 1 / 31, Timeframe.DAY: 0.6}.get(timeframe) or 0.6 * 300 / int(timeframe)
    return min(earliest, max(moment - timedelta(days=count / per_day + 7), datetime(1970, 1, 1, tzinfo=UTC)))
