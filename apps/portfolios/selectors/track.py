"""What a monitor follows: how far the ledger has come, and a portfolio's exact daily values with what has flowed since."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Max

from apps.core.money import ZERO
from apps.portfolios.models import FLOWS, LedgerEntry, Portfolio, PortfolioStatus, PortfolioValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """`values` are (total, flow) of each recorded value, oldest first; `flow` is what came in less what went out after the last of them."""

    values: tuple[tuple[Decimal, Decimal], ...]
    flow: Decimal


def last_entry_id() -> int:
    """Number of the newest ledger entry of all portfolios; 0 for an empty ledger."""
    return LedgerEntry.objects.aggregate(last=Max("id"))["last"] or 0


def portfolios_touched(after_entry_id: int) -> tuple[int, ...]:
    """Portfolios with a ledger entry newer than that one, by id."""
    return tuple(LedgerEntry.objects.filter(id__gt=after_entry_id).order_by("portfolio_id").values_list("portfolio_id", flat=True).distinct())


def active_portfolio_ids() -> tuple[int, ...]:
    """Portfolios that are open, by id."""
    return tuple(Portfolio.objects.filter(status=PortfolioStatus.ACTIVE).order_by("id").values_list("id", flat=True))


_VERSIONS = """
select f.id, coalesce(held.n, 0), coalesce(cash.n, 0), (select max(v.ts) from portfolios_portfoliovalue v where v.portfolio_id = f.id)
from portfolios_portfolio f
left join (select b.portfolio_id, sum(p.last_entry_id) n from portfolios_position p join portfolios_book b on b.id = p.book_id group by 1) held
    on held.portfolio_id = f.id
left join (select portfolio_id, sum(last_entry_id) n from portfolios_cashbalance group by 1) cash on cash.portfolio_id = f.id
where f.status = %s
"""


def ledger_versions() -> dict[int, tuple[int, int, datetime | None]]:
    """Of each open portfolio, numbers that change with every entry of its ledger and every value that is recorded. Unlike the newest entry
    of all, they also tell of one whose transaction took longer than that of a later one."""
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, [PortfolioStatus.ACTIVE.value])
        return {portfolio_id: (int(held), int(cash), valued_at) for portfolio_id, held, cash, valued_at in cursor.fetchall()}


# The kinds are part of the text, so that any plan may use the index of them.
_FLOWS = f"""
select w.portfolio_id, (select sum(e.base_amount + e.market_value) from portfolios_ledgerentry e
    where e.portfolio_id = w.portfolio_id and e.kind in ({", ".join(f"'{kind.value}'" for kind in FLOWS)}) and e.id > w.after)
from unnest(%s::bigint[], %s::bigint[]) as w(portfolio_id, after)
"""  # noqa: S608 - names of ours


def portfolio_tracks(portfolio_ids: Collection[int], *, before: datetime) -> dict[int, Track]:
    """The values recorded for market times before `before`; the opening value alone when a portfolio is younger. Two queries for all."""
    rows: dict[int, list[tuple[datetime, Decimal, Decimal, int]]] = {portfolio_id: [] for portfolio_id in portfolio_ids}
    recorded = PortfolioValue.objects.filter(portfolio_id__in=list(rows)).order_by("portfolio_id", "ts")
    for portfolio_id, ts, total, flow, last in recorded.values_list("portfolio_id", "ts", "total", "flow", "last_entry_id"):
        rows[portfolio_id].append((ts, total, flow, last))
    kept = {portfolio_id: [row for row in own if row[0] < before] or own[:1] for portfolio_id, own in rows.items()}
    known = [own[-1][3] if own else 0 for own in kept.values()]
    with connection.cursor() as cursor:
        cursor.execute(_FLOWS, [list(kept), known])
        flows: dict[int, Decimal | None] = dict(cursor.fetchall())
    return {
        portfolio_id: Track(values=tuple((total, flow) for _, total, flow, _ in own), flow=flows[portfolio_id] or ZERO)
        for portfolio_id, own in kept.items()
    }
