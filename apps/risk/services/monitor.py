"""The live monitor: every active portfolio in memory, valued on prices as they come, held to its loss limits.

It keeps nothing that it cannot load again: killed at any moment, it starts from the ledger, the stored levels and Redis.
"""

import logging
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import transaction

from apps.alerts.services import alert_raise
from apps.core.streams import publish, redis_client
from apps.core.trading import ReferencePrice
from apps.marketdata.selectors.market import MarketClock, market_clock
from apps.marketdata.selectors.quotes import FeedMessage, reference_prices
from apps.portfolios.selectors.portfolios import portfolio_names
from apps.portfolios.selectors.track import active_portfolio_ids
from apps.portfolios.services.values import portfolio_values_catch_up
from apps.risk.domain.hysteresis import Change, Crossing, Level, crossings
from apps.risk.domain.limits import LimitKind
from apps.risk.domain.summary import RiskFacts, RiskView, risk_view
from apps.risk.models import LimitEvent
from apps.risk.selectors.facts import PEAKS, facts_revision, live_peaks, risk_facts
from apps.risk.selectors.people import everybody_concerned
from apps.risk.selectors.summary import portfolio_frame

logger = logging.getLogger(__name__)

PUBLISH_EVERY: Final = timedelta(milliseconds=250)
LOOK_EVERY: Final = timedelta(seconds=1)
RELOAD_EVERY: Final = timedelta(seconds=5)
WATCHED: Final = (LimitKind.DAILY_LOSS, LimitKind.DRAWDOWN)

Raised = dict[tuple[int, LimitKind], frozenset[Level]]


class RiskMonitor:
    """Feed it messages with `receive` and call `step` often; both take the wall time. One per desk (the caller holds the lease)."""

    def __init__(self) -> None:
        self.market: MarketClock | None = None
        self.facts: dict[int, RiskFacts] = {}
        self.prices: dict[str, ReferencePrice] = {}
        self.peaks: dict[int, Decimal] = {}
        self.raised: Raised = {}
        self._revision: tuple[int, ...] = ()
        self._session: date | None = None
        self._begun: date | None = None
        self._looked_at: datetime | None = None
        self._loaded_at: datetime | None = None
        self._published_at: dict[int, datetime] = {}
        self._dirty: set[int] = set()

    def receive(self, message: FeedMessage) -> None:
        """Take in new prices, in memory only. Portfolios that hold one of them are valued again at the next step."""
        for symbol, price in message.prices.items():
            self.prices[symbol] = ReferencePrice(price=price, market_time=message.market_time, received_at=message.received_at, source=message.feed)
        changed = message.prices.keys()
        self._dirty |= {portfolio_id for portfolio_id, facts in self.facts.items() if facts.symbols & changed}
        if message.session != self._session:
            self._session, self._loaded_at = message.session, None  # a new session: the day's result starts again

    def step(self, now: datetime) -> tuple[RiskView, ...]:
        """Look for fills and changed limits, value what is due, tell of levels crossed, publish. Returns the views published.

        Raises what the database or Redis raise; the next step tries again with everything loaded afresh.
        """
        try:
            self._refresh(now)
            due = [key for key in sorted(self._dirty) if now - self._published_at.get(key, datetime.min.replace(tzinfo=now.tzinfo)) >= PUBLISH_EVERY]
            return tuple(self._portfolio_step(portfolio_id, now) for portfolio_id in due)
        except Exception:
            self._loaded_at = self._looked_at = None
            raise

    def _refresh(self, now: datetime) -> None:
        """Reload when the ledger, a limit or a trading state has moved (looked at once a second), and every few seconds anyway."""
        if self._loaded_at is not None and self._looked_at is not None and now - self._looked_at < LOOK_EVERY:
            return
        revision = facts_revision()
        self._looked_at = now
        if self._loaded_at is None or revision != self._revision or now - self._loaded_at >= RELOAD_EVERY:
            self._load(now)
            self._revision, self._loaded_at = revision, now

    def _load(self, now: datetime) -> None:
        first = not self.facts
        self.market = market_clock(now)
        if self.market.session != self._begun:
            # The day's result counts from the last close: in a fast replay the scheduled job would record that close too late.
            portfolio_values_catch_up(market_time=self.market.market_time, recorded_at=now)
            self._begun = self.market.session
        before, self.facts = self.facts, risk_facts(active_portfolio_ids(), market=self.market, now=now)
        symbols = sorted({symbol for facts in self.facts.values() for symbol in facts.symbols})
        self.prices = reference_prices(symbols, market_time=self.market.market_time) if symbols else {}
        self.peaks = live_peaks(self.market.session)
        if first or self.facts.keys() != before.keys():
            self.raised = levels_raised(self.facts)
        self._dirty = set(self.facts)  # at the latest every few seconds a screen hears that the monitor lives

    def _portfolio_step(self, portfolio_id: int, now: datetime) -> RiskView:
        market = self.market
        assert market is not None  # noqa: S101 - _refresh has loaded it
        facts = self.facts[portfolio_id]
        market_time = max((price.market_time for symbol in facts.symbols if (price := self.prices.get(symbol))), default=market.market_time)
        view = risk_view(
            facts,
            self.prices,
            peak=self.peaks.get(portfolio_id, Decimal(1)),
            market_time=max(market_time, market.market_time),
            computed_at=now,
        )
        self._remember_peak(view)
        self._watch(view, now)
        publish(f"portfolio:{portfolio_id}", portfolio_frame(view))
        self._published_at[portfolio_id] = now
        self._dirty.discard(portfolio_id)
        return view

    def _remember_peak(self, view: RiskView) -> None:
        summary = view.summary
        if summary.wealth is not None and summary.wealth > self.peaks.get(summary.portfolio_id, Decimal(1)):
            redis_client().hset(PEAKS, str(summary.portfolio_id), f"{summary.session.isoformat()} {summary.wealth}")
            self.peaks[summary.portfolio_id] = summary.wealth

    def _watch(self, view: RiskView, now: datetime) -> None:
        """Levels crossed are stored and told in one transaction; memory follows only once that is done."""
        portfolio_id = view.summary.portfolio_id
        limits = self.facts[portfolio_id].limits
        for use in view.summary.limits:
            if use.kind not in WATCHED or use.used is None:
                continue
            key = (portfolio_id, use.kind)
            after, told = crossings(limits[use.kind], use.used, self.raised.get(key, frozenset()))
            if after != self.raised.get(key, frozenset()):
                levels_record(view=view, kind=use.kind, crossed=told, before=self.raised.get(key, frozenset()), after=after, at=now)
                self.raised[key] = after


def levels_raised(facts: Mapping[int, RiskFacts]) -> Raised:
    """Which levels stand raised, from the newest event of each: a restarted monitor repeats no alert."""
    newest = (
        LimitEvent.objects.filter(portfolio_id__in=facts).order_by("portfolio_id", "kind", "level", "-id").distinct("portfolio_id", "kind", "level")
    )
    raised: Raised = {}
    for event in newest:
        if event.change == Change.RAISED:
            key = (event.portfolio_id, LimitKind(event.kind))
            raised[key] = raised.get(key, frozenset()) | {Level(event.level)}
    return raised


def levels_record(
    *,
    view: RiskView,
    kind: LimitKind,
    crossed: tuple[Crossing, ...],
    before: frozenset[Level],
    after: frozenset[Level],
    at: datetime,
) -> None:
    """Store every level that changed (LimitEvent), and raise an alert for each crossing that is news."""
    summary = view.summary
    use = next(one for one in summary.limits if one.kind is kind)
    assert use.used is not None  # noqa: S101 - levels move only on known numbers
    with transaction.atomic():
        for level in sorted(before ^ after):
            LimitEvent.objects.create(
                portfolio_id=summary.portfolio_id,
                kind=kind,
                level=level,
                change=Change.RAISED if level in after else Change.CLEARED,
                used=use.used,
                limit=use.hard if level is Level.HARD or use.soft is None else use.soft,
                market_time=summary.market_time,
                recorded_at=at,
            )
        for crossing in crossed:
            if crossing.change is Change.RAISED:
                _alert(view, kind, crossing, at)


def _alert(view: RiskView, kind: LimitKind, crossing: Crossing, at: datetime) -> None:
    summary = view.summary
    name = portfolio_names([summary.portfolio_id]).get(summary.portfolio_id, "")
    hard = crossing.level is Level.HARD
    what = "Daily loss" if kind is LimitKind.DAILY_LOSS else "Drawdown"
    title = f"{name}: {what} {crossing.used:.2%} {'breaks the limit' if hard else 'passes the warning level'} {crossing.limit:.2%}"
    alert_raise(
        code="RISK_LIMIT_BREACH" if hard else "RISK_LIMIT_WARNING",
        severity="critical" if hard else "warning",
        title=title,
        detail=f"Equity {_shown(summary.equity)}, P&L of the session {_shown(summary.daily_pnl)}, drawdown {_percent(summary.drawdown)}.",
        subject=f"portfolio:{summary.portfolio_id}",
        data={
            "kind": kind,
            "level": crossing.level,
            "used": crossing.used,
            "limit": crossing.limit,
            "equity": summary.equity,
            "daily_pnl": summary.daily_pnl,
            "daily_return": summary.daily_return,
            "drawdown": summary.drawdown,
            "gross": summary.gross,
        },
        recipients=everybody_concerned(summary.portfolio_id),
        occurred_at=summary.market_time,
        recorded_at=at,
    )
    logger.warning("%s", title)


def _shown(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f}"


def _percent(fraction: Decimal | None) -> str:
    return "unknown" if fraction is None else f"{fraction:.2%}"
