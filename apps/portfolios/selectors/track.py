"""What a monitor follows: how far the ledger has come, and a portfolio's exact daily values with what has flowed since."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Max, Sum

from apps.core.money import ZERO
from apps.portfolios.models import FLOWS, LedgerEntry, Portfolio, PortfolioStatus, PortfolioValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """`values` are (total, flow) of each recorded value, oldest first; `flow` is the net of deposits and withdrawals after the last of them."""

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


def portfolio_track(portfolio_id: int, *, before: datetime) -> Track:
    """The values recorded for market times before `before`; the opening value alone when the portfolio is younger. Two queries."""
    rows = list(PortfolioValue.objects.filter(portfolio_id=portfolio_id).order_by("ts").values_list("ts", "total", "flow", "last_entry_id"))
    kept = [row for row in rows if row[0] < before] or rows[:1]
    flows = LedgerEntry.objects.filter(portfolio_id=portfolio_id, kind__in=FLOWS)
    if kept:
        flows = flows.filter(id__gt=kept[-1][3])
    flow = flows.aggregate(sum=Sum("base_amount"))["sum"]
    return Track(values=tuple((total, flow) for _, total, flow, _ in kept), flow=flow or ZERO)
