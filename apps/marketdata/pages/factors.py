"""The factors page: who ranks where and why, what the scores were worth, and the portfolio that they recommend."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput
from apps.core.pages import RequestOfUser, page
from apps.marketdata.domain.exposures import Exposures
from apps.marketdata.domain.factors import FACTORS
from apps.marketdata.domain.weights import Optimizer
from apps.marketdata.models import Universe
from apps.marketdata.selectors.factor_analysis import factor_exposures
from apps.marketdata.selectors.factor_view import Recommendation, ShownDate, recommended, shown_date
from apps.marketdata.selectors.factors import FactorRow, factor_date_before, factor_scores, universe_members, universe_parse

PAGE_ROWS = 50
MOST_LINES = 5
MOST_POSITIONS = 200
SORTS = ("rank", "ticker", *FACTORS, "composite")
TITLES = {"momentum": "Momentum", "quality": "Quality", "value": "Value", "volatility": "Low volatility", "composite": "Composite"}
HOW = {
    "momentum": "Total return of the last year without its last month, against the others",
    "quality": "Return on equity and gross profitability; without fundamentals the mean distance from the one-year high",
    "value": "Earnings, book value and dividends over price; without fundamentals the fall since five years ago",
    "volatility": "Minus the annualised deviation of a year's daily returns: calm scores high",
    "composite": "Weighted mean of the scores that are there; rank 1 is the highest",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedRow:
    """A row of the table. `moved` is places gained since the date before, None where one of the two ranks is not there."""

    row: FactorRow
    moved: int | None

    @property
    def cells(self) -> list[tuple[float | None, str, bool]]:
        """Of each factor the score, why there is none, and whether it comes from prices for want of fundamentals."""
        return [(getattr(self.row, name), self.row.missing.get(name, ""), name in self.row.proxies) for name in FACTORS]

    @property
    def moved_down(self) -> int:
        """Places lost."""
        return -(self.moved or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the address asks for."""

    universe: Universe
    shown: ShownDate
    sort: str
    descending: bool
    search: str
    positions: int
    optimizer: Optimizer


@require_GET
@page
def factors(request: RequestOfUser) -> HttpResponse:
    """The page."""
    asked = asked_for(request)
    day = asked.shown.day
    rows = factor_scores(asked.universe, day) if day else []
    members = universe_members(asked.universe)
    before = factor_date_before(asked.universe, day) if day else None
    earlier = {row.ticker: row.rank for row in factor_scores(asked.universe, before)} if before else {}
    found = [row for row in rows if asked.search.lower() in row.ticker.lower() or asked.search.lower() in row.name.lower()]
    ranked = [RankedRow(row=row, moved=_moved(row.rank, earlier.get(row.ticker))) for row in _sorted(found, asked)]
    tickers = _tickers(request, rows)
    exposed = request.GET.get("exposure", "") or (tickers[0] if tickers else "")
    positions, refused = _recommended(rows, asked)
    fitted, unfitted = _exposures(exposed, rows, day)
    query = urlencode({"universe": asked.universe.name.lower(), "date": day.isoformat() if day else ""})
    context = {
        "asked": asked,
        "universes": [(item.name.lower(), item.label) for item in Universe],
        "universe": asked.universe.name.lower(),
        "page": Paginator(ranked, PAGE_ROWS).get_page(request.GET.get("page")),
        "scored": sum(row.rank is not None for row in rows),
        "members": len(members),
        "before": before,
        "columns": [(name, TITLES[name], HOW[name]) for name in (*FACTORS, "composite")],
        "proxied": any(row.proxies for row in rows),
        "lines": [*tickers, *[""] * (MOST_LINES - len(tickers))],
        "all_tickers": sorted(row.ticker for row in rows),
        "history_url": f"{reverse('chart-factor-history')}?{query}&{urlencode([('ticker', ticker) for ticker in tickers])}",
        "positions": positions,
        "refused": refused,
        "optimizers": list(Optimizer),
        "exposed": exposed,
        "fitted": fitted,
        "unfitted": unfitted,
        "chart_query": query,
        "factor": asked.sort if asked.sort in TITLES else "composite",
    }
    return render(request, "marketdata/factors.html", context)


def asked_for(request: HttpRequest) -> Asked:
    universe = universe_parse(request.GET.get("universe", "etf"))
    sort = request.GET.get("sort", "rank")
    if sort.removeprefix("-") not in SORTS:
        raise InvalidInput(f"{sort!r} is none of {', '.join(SORTS)}", field="sort")
    positions = request.GET.get("n", "20")
    if not (positions.isascii() and positions.isdecimal() and 1 <= int(positions) <= MOST_POSITIONS):
        raise InvalidInput(f"a number of positions is from 1 to {MOST_POSITIONS}", field="n")
    return Asked(
        universe=universe,
        shown=shown_date(universe, now(), _day(request)),
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        search=request.GET.get("search", "").strip(),
        positions=int(positions),
        optimizer=Optimizer.parse(request.GET.get("optimizer", Optimizer.RANK_BASED)),
    )


def _day(request: HttpRequest) -> date | None:
    text = request.GET.get("date", "")
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-01-03", field="date") from error


def _sorted(rows: list[FactorRow], asked: Asked) -> list[FactorRow]:
    there = [row for row in rows if getattr(row, asked.sort) is not None]
    absent = [row for row in rows if getattr(row, asked.sort) is None]
    return sorted(there, key=lambda row: getattr(row, asked.sort), reverse=asked.descending) + absent


def _moved(rank: int | None, before: int | None) -> int | None:
    return None if rank is None or before is None else before - rank


def _tickers(request: HttpRequest, rows: Sequence[FactorRow]) -> list[str]:
    """The instruments of the lines: those asked for that there are, at most five; else the best five."""
    known = [row.ticker for row in rows]
    wanted = [ticker for ticker in dict.fromkeys(request.GET.getlist("ticker")) if ticker in known]
    return (wanted or known)[:MOST_LINES]


def _recommended(rows: list[FactorRow], asked: Asked) -> tuple[list[Recommendation], str]:
    """Positions, or why there are none."""
    if asked.shown.day is None:
        return [], ""
    try:
        return recommended(rows, asked.shown.day, count=asked.positions, optimizer=asked.optimizer), ""
    except DeskError as error:
        return [], error.detail


def _exposures(ticker: str, rows: Sequence[FactorRow], day: date | None) -> tuple[Exposures | None, str]:
    """The regression, or why there is none."""
    if day is None or ticker not in {row.ticker for row in rows}:
        return None, f"{ticker} has no scores on this date." if ticker else "No instrument is scored."
    try:
        return factor_exposures(ticker, day), ""
    except DeskError as error:
        return None, f"{error.detail[:1].upper()}{error.detail[1:]}."
