"""How far limits are used: now, and as it was recorded."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from django.db.models import Q, QuerySet

from apps.core.errors import NotFound
from apps.marketdata.selectors.instruments import sectors_of
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import reference_prices
from apps.marketdata.selectors.volumes import average_volumes
from apps.portfolios.domain.holdings import Holding
from apps.risk.domain.limits import Limit, LimitAction, LimitKind, LimitScope, LimitUse, ScopedLimit, tightest
from apps.risk.domain.scenarios import not_known, partly_known, worst_outcome
from apps.risk.domain.summary import RiskFacts, RiskView, risk_view
from apps.risk.domain.tail_risk import Method
from apps.risk.domain.utilisation import PartFacts, limit_uses, part_name
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
    parts = part_limits([facts], now)[portfolio_id]
    kinds = {*facts.limits, *(one.limit.kind for one in parts.limits)}
    losses, missing = _losses(view, kinds, now)
    return limit_uses(view, parts.limits, replace(parts.facts, losses=losses, not_known=missing))


def utilisation_recorded(*, portfolio_id: int, kind: str, since: datetime) -> QuerySet[LimitUtilisation]:
    """What was recorded of one kind of limit, oldest first."""
    return LimitUtilisation.objects.filter(portfolio_id=portfolio_id, kind=kind, recorded_at__gte=since).order_by("recorded_at", "scope", "subject")


@dataclass(frozen=True, kw_only=True)
class PartLimits:
    """Limits in force of a portfolio's books, instruments and sectors, and what these and the whole are measured by, losses apart. (No slots:
    the names are made once.)"""

    limits: tuple[ScopedLimit, ...] = ()
    facts: PartFacts = field(default_factory=PartFacts)

    def limit_of(self, use: LimitUse) -> Limit | None:
        """The limit that was measured; None where it holds for the whole portfolio."""
        return self._named.get((use.kind, part_name(use)))

    @cached_property
    def _named(self) -> dict[tuple[LimitKind, str], Limit]:
        return {(one.limit.kind, f"{one.limit.scope}:{one.limit.subject}"): one.limit for one in self.limits}


def part_limits(portfolios: Collection[RiskFacts], now: datetime) -> dict[int, PartLimits]:
    """By portfolio. Four queries at most, however many they are: only what a limit in force asks for is looked up."""
    parts = _parts([facts.portfolio_id for facts in portfolios], now)
    sectors: set[int] = set()
    volumes: set[int] = set()
    for facts in portfolios:
        kinds = {*facts.limits, *(one.limit.kind for one in parts[facts.portfolio_id])}
        held = {position.instrument_id for position in facts.holdings.positions if position.quantity}
        sectors |= held if LimitKind.SECTOR_SHARE in kinds else set()
        volumes |= held if LimitKind.LIQUIDITY in kinds else set()
    of_sector = sectors_of(sorted(sectors)) if sectors else {}
    traded = average_volumes(sorted(volumes), until=min(facts.session for facts in portfolios)) if volumes else {}
    return {
        facts.portfolio_id: PartLimits(
            limits=parts[facts.portfolio_id],
            facts=PartFacts(
                sectors=of_sector,
                volumes=traded,
                books=_by_book(facts.holdings.positions),
                symbols={one.instrument_id: one.limit.subject for one in parts[facts.portfolio_id] if one.instrument_id is not None},
            ),
        )
        for facts in portfolios
    }


def _by_book(positions: Collection[Holding]) -> dict[int, dict[int, Decimal]]:
    books: dict[int, dict[int, Decimal]] = defaultdict(dict)
    for held in positions:
        if held.quantity:
            books[held.book_id][held.instrument_id] = held.quantity
    return books


_Part = tuple[str, int | None, int | None, str]


def _parts(portfolio_ids: Collection[int], now: datetime) -> dict[int, tuple[ScopedLimit, ...]]:
    """The limits of parts: each portfolio's own, and the desk's where it has none of the same. Of two in force both bind."""
    active = Q(active_to__isnull=True) | Q(active_to__gt=now)
    part = Q(instrument__isnull=False) | ~Q(sector="")
    fields = ("kind", "soft", "hard", "action", "instrument_id", "sector", "instrument__symbol")
    desk: dict[_Part, ScopedLimit] = {}
    for row in DeskLimit.objects.filter(active, part, active_from__lte=now).order_by("id").values_list(*fields):
        _bind(desk, _scoped(False, None, "", *row))
    own: dict[int, dict[_Part, ScopedLimit]] = {portfolio_id: {} for portfolio_id in portfolio_ids}
    rows = RiskLimit.objects.filter(active, part | Q(book__isnull=False), portfolio_id__in=list(own), active_from__lte=now).order_by("id")
    for portfolio_id, *told in rows.values_list("portfolio_id", "book_id", "book__name", *fields):
        _bind(own[portfolio_id], _scoped(True, *told))
    return {portfolio_id: tuple((desk | mine).values()) for portfolio_id, mine in own.items()}


def _bind(found: dict[_Part, ScopedLimit], one: ScopedLimit) -> None:
    key = (one.limit.kind, one.book_id, one.instrument_id, one.sector)
    limits = [before.limit, one.limit] if (before := found.get(key)) else [one.limit]
    found[key] = replace(one, limit=tightest(limits)[one.limit.kind])


def _scoped(
    own: bool,
    book_id: int | None,
    book: str | None,
    kind: str,
    soft: Decimal | None,
    hard: Decimal,
    action: str,
    instrument_id: int | None,
    sector: str,
    symbol: str | None,
) -> ScopedLimit:
    scope = LimitScope.BOOK if book_id else LimitScope.INSTRUMENT if instrument_id else LimitScope.SECTOR
    limit = Limit(kind=LimitKind(kind), hard=hard, soft=soft, action=LimitAction(action), scope=scope, subject=book or symbol or sector)
    return ScopedLimit(limit=limit, own=own, book_id=book_id, instrument_id=instrument_id, sector=sector)


def _losses(view: RiskView, kinds: set[LimitKind], now: datetime) -> tuple[dict[LimitKind, float | None], str]:
    """Losses as fractions of the value; None where a price or a history is missing. And what scenarios do not know."""
    total = view.valuation.total
    worth = float(total) if total is not None and total > 0 else None
    found: dict[LimitKind, float | None] = {}
    missing = ""
    if kinds & {LimitKind.VAR, LimitKind.EXPECTED_SHORTFALL}:
        risk = risk_inputs(view, now=now).full()
        money = {
            LimitKind.VAR: risk.var_of(Method.HISTORICAL, CONFIDENCE).value,
            LimitKind.EXPECTED_SHORTFALL: risk.es_of(Method.HISTORICAL, CONFIDENCE).value,
        }
        found |= {kind: None if worth is None or value is None else max(0.0, value) / worth for kind, value in money.items()}
    if LimitKind.STRESS_LOSS in kinds:
        outcomes = stress_results(portfolio_id=view.valuation.portfolio_id, now=now)
        worst, missing = worst_outcome(outcomes), not_known(partly_known(outcomes))
        found[LimitKind.STRESS_LOSS] = None if worst is None or worst.loss is None or worth is None else worst.loss / worth
    return found, missing
