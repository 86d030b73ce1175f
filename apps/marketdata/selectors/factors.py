"""Stored factor scores: of a date, of an instrument, of a stretch of time. The latest revision counts that was known at `as_of`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import numpy as np
from django.db import connection
from django.db.models import Q
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.marketdata.domain.calendars import calendar_of
from apps.marketdata.domain.factors import FACTORS, Proxy, missing_reasons
from apps.marketdata.models import AssetClass, FactorRun, Instrument, Universe
from apps.marketdata.selectors.bars import Moment, bounds
from apps.marketdata.selectors.instruments import instrument_get, listed
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.points import PointTable, points_read

SCORES = PointTable(
    name="marketdata_factorscore",
    owner="instrument_id",
    fixed=("universe",),
    values=(*((name, "float8") for name in (*FACTORS, "composite")), ("rank", "int2"), ("proxies", "int2"), ("missing", "int2")),
    tolerance=1e-9,
    by_time=True,
)
ASSET_CLASS = {Universe.ETF: AssetClass.ETF, Universe.STOCK: AssetClass.STOCK}


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRow:
    """One instrument's scores on a date, None where there is none; `missing` says why, by factor. `proxies` names factors from prices."""

    ticker: str
    name: str
    date: date
    momentum: float | None
    quality: float | None
    value: float | None
    volatility: float | None
    composite: float | None
    rank: int | None
    proxies: tuple[str, ...]
    missing: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScorePanel:
    """Scores of a universe: `ts` datetime64[us] [T], `symbols` [N], each score float64 [T, N], NaN where there is none."""

    symbols: tuple[str, ...]
    ts: NDArray[np.datetime64]
    scores: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.ts)


def universe_parse(code: str) -> Universe:
    """The universe of a code. Raises InvalidInput which lists the codes."""
    for universe in Universe:
        if universe.name.lower() == code:
            return universe
    raise InvalidInput(f"{code!r} is none of {', '.join(item.name.lower() for item in Universe)}", field="universe")


def universe_of(instrument: Instrument) -> Universe | None:
    """The universe in which an instrument is scored; None for an index or a coin."""
    return next((item for item, kind in ASSET_CLASS.items() if kind == instrument.asset_class), None)


def universe_members(universe: Universe) -> dict[int, Instrument]:
    """The instruments that are compared with each other, by id, in the order of their symbols."""
    return {item.pk: item for item in Instrument.objects.filter(asset_class=ASSET_CLASS[universe]).order_by("symbol")}


def traded_or_scored(*, on: date) -> list[Instrument]:
    """The instruments whose bars the desk needs, by symbol: those that may be traded and those that are scored, as far as they are
    listed on the day.
    """
    wanted = Instrument.objects.filter(Q(tradable=True) | Q(asset_class__in=ASSET_CLASS.values()))
    return list(listed(wanted, on).order_by("symbol"))


def latest_factor_date(universe: Universe | None = None, until: date | None = None) -> date | None:
    """The last date with scores (of any universe with None), not after `until`; None when there is none."""
    return _edge("desc", universe, "true" if until is None else "ts <= %(day)s", until)


def first_factor_date(universe: Universe) -> date | None:
    """The first date with scores."""
    return _edge("asc", universe)


def factor_date_before(universe: Universe, day: date) -> date | None:
    """The last date with scores before a day."""
    return _edge("desc", universe, "ts < %(day)s", day)


#: Each universe's own first or last row, which is one look into the key.
EDGE = """
select ts from unnest(%(universes)s::smallint[]) as of(universe) cross join lateral (
    select ts from marketdata_factorscore as score where score.universe = of.universe and {condition} order by ts {order} limit 1
) as edge order by ts {order} limit 1
"""


def _edge(order: str, universe: Universe | None, condition: str = "true", day: date | None = None) -> date | None:
    universes = [int(item) for item in (Universe if universe is None else (universe,))]
    with connection.cursor() as cursor:
        query = EDGE.format(condition=condition, order=order)  # fixed texts, values are parameters
        cursor.execute(query, {"universes": universes, "day": None if day is None else datetime.combine(day, time(), UTC)})
        found: tuple[datetime] | None = cursor.fetchone()
    return None if found is None else found[0].astimezone(UTC).date()


def factor_scores(universe: Universe, day: date, *, as_of: datetime | None = None) -> list[FactorRow]:
    """Scores of a date, the best rank first, then those without one by symbol."""
    columns = points_read(SCORES, None, *bounds(day, day), fixed={"universe": int(universe)}, as_of=as_of)
    members = Instrument.objects.in_bulk(columns["owner"].tolist())
    rows = [_row(columns, at, members[pk]) for at, pk in enumerate(columns["owner"].tolist())]
    return sorted(rows, key=lambda row: (row.rank is None, row.rank or 0, row.ticker))


def factor_history(symbol: str, *, last: int, until: date | None = None, as_of: datetime | None = None) -> list[FactorRow]:
    """An instrument's scores on the last so many dates, oldest first. Raises NotFound for an unknown symbol."""
    instrument = instrument_get(symbol)
    universe = universe_of(instrument)
    if universe is None:
        return []
    first, last_scored = first_factor_date(universe), latest_factor_date(universe, until)
    if first is None or last_scored is None:
        return []
    days = calendar_of(HOME_CALENDAR).days  # a score stands on a session
    sessions = days[(days >= np.datetime64(first)) & (days <= np.datetime64(last_scored))].astype("datetime64[us]")
    at = [moment.replace(tzinfo=UTC) for moment in sessions.tolist()]
    columns = points_read(SCORES, [instrument.pk], *bounds(None, until), fixed={"universe": int(universe)}, as_of=as_of, at=at)
    return [_row(columns, at, instrument) for at in range(max(0, len(columns["ts"]) - last), len(columns["ts"]))]


def score_panel(universe: Universe, *, names: Sequence[str] = (*FACTORS, "composite"), start: Moment = None, end: Moment = None) -> ScorePanel:
    """Scores of a universe over a range, symbols in order."""
    columns = points_read(SCORES, None, *bounds(start, end), fixed={"universe": int(universe)})
    owners, ts = np.unique(columns["owner"]), np.unique(columns["ts"])
    symbol_of = dict(Instrument.objects.filter(pk__in=owners.tolist()).values_list("pk", "symbol"))
    at = np.searchsorted(ts, columns["ts"]), np.searchsorted(owners, columns["owner"])
    scores = {}
    for name in names:
        scores[name] = np.full((len(ts), len(owners)), np.nan)
        scores[name][at] = columns[name]
    order = sorted(range(len(owners)), key=lambda n: symbol_of[int(owners[n])])
    symbols = tuple(symbol_of[int(owners[n])] for n in order)
    return ScorePanel(symbols=symbols, ts=ts, scores={name: values[:, order] for name, values in scores.items()})


def last_factor_run(universe: Universe) -> FactorRun | None:
    """The newest computation; None before the first."""
    return FactorRun.objects.filter(universe=universe).order_by("-pk").first()


def _row(columns: dict[str, NDArray], at: int, instrument: Instrument) -> FactorRow:
    numbers = {name: float(columns[name][at]) for name in (*FACTORS, "composite")}
    flags = Proxy(int(columns["proxies"][at]))
    return FactorRow(
        ticker=instrument.symbol,
        name=instrument.name,
        date=columns["ts"][at].astype("datetime64[D]").item(),
        **{name: None if np.isnan(number) else number for name, number in numbers.items()},
        rank=int(columns["rank"][at]) or None,
        proxies=tuple(flag.name.lower() for flag in (Proxy.QUALITY, Proxy.VALUE) if flag & flags and flag.name),
        missing=missing_reasons(int(columns["missing"][at])),
    )
