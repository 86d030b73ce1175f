"""Levels of limits that the live monitor sees crossed: stored, told and acted on in one transaction, by the one monitor that holds the desk."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from apps.alerts.services import alert_raise
from apps.portfolios.selectors.portfolios import portfolio_names
from apps.risk.domain.hysteresis import Change, Crossing, Level, is_news
from apps.risk.domain.limits import Limit, LimitKind, LimitUse
from apps.risk.domain.summary import RiskSummary
from apps.risk.domain.utilisation import part_name
from apps.risk.models import LimitEvent
from apps.risk.selectors.people import everybody_concerned
from apps.risk.services.monitor_state import monitor_fence
from apps.risk.services.state import trading_restrict

logger = logging.getLogger(__name__)

#: Portfolio, kind, and the part that the limit holds for, "" for the whole.
Key = tuple[int, LimitKind, str]


@dataclass(slots=True)
class Levels:
    """What stands raised by portfolio, kind and part, and when people were told of each level last."""

    raised: dict[Key, frozenset[Level]] = field(default_factory=dict)
    told: dict[tuple[int, LimitKind, str, Level], datetime] = field(default_factory=dict)


def levels_load(portfolio_ids: Collection[int]) -> Levels:
    """From the stored events: a monitor that starts or takes over misses no level and repeats none."""
    events = LimitEvent.objects.filter(portfolio_id__in=portfolio_ids).order_by("portfolio_id", "kind", "part", "level", "-id")
    levels = Levels()
    for event in events.distinct("portfolio_id", "kind", "part", "level"):
        if event.change == Change.RAISED:
            key = (event.portfolio_id, LimitKind(event.kind), event.part)
            levels.raised[key] = levels.raised.get(key, frozenset()) | {Level(event.level)}
    for event in events.filter(told=True).distinct("portfolio_id", "kind", "part", "level"):
        levels.told[(event.portfolio_id, LimitKind(event.kind), event.part, Level(event.level))] = event.recorded_at
    return levels


def levels_record(
    *,
    summary: RiskSummary,
    use: LimitUse,
    limit: Limit,
    crossed: tuple[Crossing, ...],
    levels: Levels,
    after: frozenset[Level],
    at: datetime,
    token: int | None,
) -> None:
    """Store every level that changed, tell of each crossing that is news, and do what the limit asks for when its hard level broke.

    All or nothing; `levels` follows only once it is committed. `token` is the monitor's fencing token (None: the caller alone holds the
    lease). Raises Deposed when another monitor has taken over.
    """
    key = (summary.portfolio_id, use.kind, part_name(use))
    before = levels.raised.get(key, frozenset())
    assert use.used is not None  # noqa: S101 - levels move only on known numbers
    told: list[Level] = []
    with transaction.atomic():
        if token is not None:
            monitor_fence(token)
        news = {one.level: one for one in crossed if one.change is Change.RAISED and is_news(levels.told.get((*key, one.level)), at)}
        for level in sorted(before ^ after):
            event = LimitEvent.objects.create(
                portfolio_id=summary.portfolio_id,
                kind=use.kind,
                part=part_name(use),
                level=level,
                change=Change.RAISED if level in after else Change.CLEARED,
                used=use.used,
                limit=use.hard if level is Level.HARD or use.soft is None else use.soft,
                market_time=summary.market_time,
                recorded_at=at,
                told=level in news,
            )
            if level in news:
                told.append(level)
                _alert(summary, use, news[level], at)
            if level is Level.HARD and level in after:
                reason = f"{use.kind.word} {_number(use.kind, use.used)} breaks the limit {_number(use.kind, use.hard)}"
                trading_restrict(portfolio_id=summary.portfolio_id, action=limit.action, event=event, reason=reason, at=at)
    levels.raised[key] = after
    levels.told.update({(*key, level): at for level in told})


def _alert(summary: RiskSummary, use: LimitUse, crossing: Crossing, at: datetime) -> None:
    name = portfolio_names([summary.portfolio_id]).get(summary.portfolio_id, "")
    hard, kind = crossing.level is Level.HARD, use.kind
    what = f"{kind.word}{f' of {use.subject}' if use.subject else ''} {_number(kind, crossing.used)}"
    title = f"{name}: {what} {'breaks the limit' if hard else 'passes the warning level'} {_number(kind, crossing.limit)}"
    alert_raise(
        code="RISK_LIMIT_BREACH" if hard else "RISK_LIMIT_WARNING",
        severity="critical" if hard else "warning",
        title=title[:200],
        detail=f"Equity {_shown(summary.equity)}, P&L of the session {_shown(summary.daily_pnl)}, drawdown {_percent(summary.drawdown)}.",
        subject=f"portfolio:{summary.portfolio_id}",
        data={
            "kind": kind,
            "part": part_name(use),
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


def _number(kind: LimitKind, value: Decimal) -> str:
    """In the kind's unit: fractions as percentages, money with two places, the rest as it is."""
    if kind.unit == "fraction":
        return f"{value:.2%}"
    return f"{value:,.2f}" if kind.unit == "USD" else f"{value.normalize():,f}"


def _shown(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:,.2f}"


def _percent(fraction: Decimal | None) -> str:
    return "unknown" if fraction is None else f"{fraction:.2%}"
