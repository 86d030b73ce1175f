"""Questions about reconciliation: what is open, what ran last, what a portfolio's page shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from apps.core.documents import plain
from apps.execution.domain.amounts import trimmed
from apps.execution.models import BrokerageAccount, ReconciliationBreak, ReconciliationRun, ReconciliationState
from apps.portfolios.selectors.portfolios import portfolios_visible

if TYPE_CHECKING:
    from apps.core.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an account stands with its broker: the last run (None: it never ran), and the open breaks, oldest first."""

    account: BrokerageAccount
    run: ReconciliationRun | None
    breaks: tuple[ReconciliationBreak, ...]

    @property
    def halts(self) -> bool:
        """Nothing new is opened."""
        return any(row.halts for row in self.breaks)


def breaks_open(account_id: int) -> Sequence[ReconciliationBreak]:
    """Breaks that nobody has resolved and that every run since has found, oldest first."""
    found = ReconciliationBreak.objects.filter(account_id=account_id, resolution__isnull=True)
    return list(found.select_related("account", "resolution").order_by("id"))


def last_run(account_id: int, *, compared: bool = False) -> ReconciliationRun | None:
    """The account's last run; with `compared` the last one that could ask the broker."""
    runs = ReconciliationRun.objects.filter(account_id=account_id).order_by("-id")
    return (runs.exclude(state=ReconciliationState.FAILED) if compared else runs).first()


def runs_visible(user: "User") -> QuerySet[ReconciliationRun]:
    """Runs of the accounts of the portfolios that the user sees, newest first."""
    return ReconciliationRun.objects.filter(account__portfolio__in=portfolios_visible(user).order_by()).select_related("account").order_by("-id")


def breaks_visible(user: "User") -> QuerySet[ReconciliationBreak]:
    """Breaks of the portfolios that the user sees, newest first, with how they were resolved."""
    found = ReconciliationBreak.objects.filter(portfolio__in=portfolios_visible(user).order_by())
    return found.select_related("account", "portfolio", "resolution", "resolution__resolved_by").order_by("-id")


def portfolio_standing(portfolio_id: int) -> Standing | None:
    """Where the portfolio's account stands; None without an account. Three queries."""
    account = BrokerageAccount.objects.filter(portfolio_id=portfolio_id).first()
    if account is None:
        return None
    return Standing(account=account, run=last_run(account.pk), breaks=tuple(breaks_open(account.pk)))


def run_row(run: ReconciliationRun) -> dict[str, Any]:
    """A run as plain values."""
    return {
        "id": run.pk,
        "account": run.account.number,
        "portfolio_id": run.account.portfolio_id,
        "trigger": str(run.trigger),
        "state": str(run.state),
        "detail": run.detail,
        "compared": run.compared,
        "booked_fills": run.booked_fills,
        "open_breaks": run.open_breaks,
        "started_at": plain(run.started_at),
    }


def break_row(row: ReconciliationBreak) -> dict[str, Any]:
    """A break as plain values, Decimals as strings; `resolution` is None while it is open."""
    resolution = getattr(row, "resolution", None)
    return {
        "id": row.pk,
        "portfolio_id": row.portfolio_id,
        "account": row.account.number,
        "kind": str(row.kind),
        "subject": str(row.subject),
        "key": row.key,
        "symbol": row.symbol,
        "ours": row.ours,
        "theirs": row.theirs,
        "difference": trimmed(row.difference),
        "halts": row.halts,
        "found_at": plain(row.found_at),
        "resolution": resolution
        and {
            "by": resolution.resolved_by.get_username() if resolution.resolved_by else None,
            "reason": resolution.reason,
            "resolved_at": plain(resolution.resolved_at),
        },
    }
