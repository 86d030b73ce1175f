"""How far limits are used: now, and as it was recorded."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, QuerySet

from apps.core.errors import NotFound
from apps.marketdata.selectors.instruments import sectors_of
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import reference_prices
from apps.marketdata.selectors.volumes import average_volumes
from apps.risk.domain.limits import Limit, LimitAction, LimitKind, LimitScope, LimitUse, ScopedLimit
from apps.risk.domain.portfolio_risk import full_risk
from apps.risk.domain.summary import RiskFacts, RiskView, risk_view
from apps.risk.domain.tail_risk import Method
from apps.risk.domain.utilisation import PartFacts, limit_uses
from apps.risk.models import DeskLimit, LimitUtilisation, RiskLimit
from apps.risk.selectors.facts import live_peaks, risk_facts
from apps.risk.selectors.limits import limits_in_force
from apps.risk.selectors.portfolio_risk import risk_inputs
from apps.risk.selectors.stress import stress_results

ONE = Decimal(1)
#: Confidence at which value at risk and shortfall are limited.
CONFIDENCE = 0.95


def limit_uses_now(*, portfolio_id: int, now: datetime) -> tuple[LimitUse, ...]:
    """Every limit that concerns the portfolio, its parts included, and how far it is used at the latest prices. Raises NotFound, Unavailable."""
    market = market_clock(now)
    facts = risk_facts([portfolio_id], market=market, now=now).get(portfolio_id)
    if facts is None:
        raise NotFound(f"no portfolio {portfolio_id}")
    facts = replace(facts, limits=limits_in_force(portfolio_id, now))
    symbols = sorted(facts.symbols)
    prices = reference_prices(symbols, market_time=market.market_time) if symbols else {}
    peak = live_peaks(market.session).get(portfolio_id, ONE)
    view = risk_view(facts, prices, peak=peak, market_time=market.market_time, computed_at=now)
    parts = _parts(portfolio_id, now)
    return limit_uses(view, parts, _part_facts(facts, view, parts, now))


def utilisation_recorded(*, portfolio_id: int, kind: str, since: datetime) -> QuerySet[LimitUtilisation]:
    """What was recorded of one kind of limit, oldest first."""
    return LimitUtilisation.objects.filter(portfolio_id=portfolio_id, kind=kind, recorded_at__gte=since).order_by("recorded_at", "scope", "subject")


def _parts(portfolio_id: int, now: datetime) -> tuple[ScopedLimit, ...]:
    """Limits in force of books, instruments and sectors: the portfolio's, and the desk's where it has none of the same."""
    active = Q(active_to__isnull=True) | Q(active_to__gt=now)
    part = Q(instrument__isnull=False) | ~Q(sector="")
    fields = ("kind", "soft", "hard", "action", "instrument_id", "sector", "instrument__symbol")
    found: dict[tuple[str, int | None, int | None, str], ScopedLimit] = {}
    desk = DeskLimit.objects.filter(active, part, active_from__lte=now).order_by("id").values_list(*fields)
    own = RiskLimit.objects.filter(active, part | Q(book__isnull=False), portfolio_id=portfolio_id, active_from__lte=now).order_by("id")
    rows = [(False, None, "", *row) for row in desk] + [(True, *row) for row in own.values_list("book_id", "book__name", *fields)]
    for mine, book_id, book, kind, soft, hard, action, instrument_id, sector, symbol in rows:
        scope = LimitScope.BOOK if book_id else LimitScope.INSTRUMENT if instrument_id else LimitScope.SECTOR
        limit = Limit(kind=LimitKind(kind), hard=hard, soft=soft, action=LimitAction(action), scope=scope, subject=book or symbol or sector)
        found[kind, book_id, instrument_id, sector] = ScopedLimit(limit=limit, own=mine, book_id=book_id, instrument_id=instrument_id, sector=sector)
    return tuple(found.values())


def _part_facts(facts: RiskFacts, view: RiskView, parts: Sequence[ScopedLimit], now: datetime) -> PartFacts:
    """Only what a limit in force asks for is looked up: histories of returns are long."""
    held = [position.instrument_id for position in view.valuation.positions if position.quantity]
    kinds = {*facts.limits, *(one.limit.kind for one in parts)}
    books: dict[int, dict[int, Decimal]] = defaultdict(dict)
    for holding in facts.holdings.positions:
        if holding.quantity:
            books[holding.book_id][holding.instrument_id] = holding.quantity
    return PartFacts(
        sectors=sectors_of(held) if LimitKind.SECTOR_SHARE in kinds else {},
        volumes=average_volumes(held, until=facts.session) if LimitKind.LIQUIDITY in kinds else {},
        books=books,
        symbols={one.instrument_id: one.limit.subject for one in parts if one.instrument_id is not None},
        losses=_losses(view, kinds, now),
    )


def _losses(view: RiskView, kinds: set[LimitKind], now: datetime) -> dict[LimitKind, float | None]:
    """Losses as fractions of the value; None where a price or a history is missing."""
    total = view.valuation.total
    worth = float(total) if total is not None and total > 0 else None
    found: dict[LimitKind, float | None] = {}
    if kinds & {LimitKind.VAR, LimitKind.EXPECTED_SHORTFALL}:
        inputs = risk_inputs(view, now=now)
        risk = full_risk(values=inputs.values, matrix=inputs.matrix, facts=inputs.facts, as_of=inputs.as_of)
        money = {
            LimitKind.VAR: risk.var_of(Method.HISTORICAL, CONFIDENCE).value,
            LimitKind.EXPECTED_SHORTFALL: risk.es_of(Method.HISTORICAL, CONFIDENCE).value,
        }
        found |= {kind: None if worth is None or value is None else max(0.0, value) / worth for kind, value in money.items()}
    if LimitKind.STRESS_LOSS in kinds:
        outcomes = [outcome.pnl for outcome in stress_results(portfolio_id=view.valuation.portfolio_id, now=now)]
        known = worth is not None and outcomes and None not in outcomes
        found[LimitKind.STRESS_LOSS] = max([0.0, *(-pnl for pnl in outcomes if pnl is not None)]) / worth if known and worth else None
    return found
