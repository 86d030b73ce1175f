"""Cash by currency, at trade date and at settlement date, and what moved it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import QuerySet, Sum

from apps.core.money import ZERO
from apps.portfolios.models import FLOW, FLOWS, MOVED, TRADED, CashBalance, LedgerEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class CashLine:
    """Cash in one currency: `traded` counts every entry, `settled` those that have settled; the rest is `unsettled`."""

    currency: str
    traded: Decimal
    settled: Decimal

    @property
    def unsettled(self) -> Decimal:
        return self.traded - self.settled


def settled_cash(portfolio_id: int, on: date) -> dict[str, Decimal]:
    """Cash by currency that has settled by the end of a day. Entries that settle later do not count, whenever they were traded."""
    return {line.currency: line.settled for line in cash_lines(portfolio_id, on)}


def available_cash(portfolio_id: int, on: date) -> dict[str, Decimal]:
    """Cash by currency that has settled by the end of a day and is not spent yet, whenever what was bought settles."""
    return {line.currency: min(line.traded, line.settled) for line in cash_lines(portfolio_id, on)}


def cash_lines(portfolio_id: int, on: date) -> tuple[CashLine, ...]:
    """Cash by currency as it is now, and what of it has settled by a day: two queries."""
    later = LedgerEntry.objects.filter(portfolio_id=portfolio_id, settles_on__gt=on).order_by("currency").values_list("currency")
    pending = dict(later.annotate(total=Sum("amount")))
    balances = CashBalance.objects.filter(portfolio_id=portfolio_id).order_by("currency").values_list("currency", "amount")
    return tuple(CashLine(currency=currency, traded=amount, settled=amount - pending.get(currency, ZERO)) for currency, amount in balances)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What entries moved: signed shares by symbol and cash by currency, without what cancels out."""

    shares: dict[str, Decimal]
    cash: dict[str, Decimal]


def moves_besides(portfolio_id: int, *, source: str) -> Moves:
    """What all entries moved except those of one source: two queries."""
    others = LedgerEntry.objects.filter(portfolio_id=portfolio_id).exclude(source=source)
    shares = others.exclude(quantity=0).values_list("instrument__symbol").annotate(total=Sum("quantity")).order_by("instrument__symbol")
    cash = others.values_list("currency").annotate(total=Sum("amount")).order_by("currency")
    return Moves(shares={key: total for key, total in shares if total}, cash={key: total for key, total in cash if total})


def cash_flows(portfolio_id: int) -> QuerySet[LedgerEntry]:
    """Entries that moved cash and were no trade, newest first."""
    return _entries(portfolio_id).exclude(kind__in=[*MOVED, *TRADED])


def action_entries(portfolio_id: int) -> QuerySet[LedgerEntry]:
    """What corporate actions did, and shares that were moved, newest first."""
    return _entries(portfolio_id).filter(kind__in=[*MOVED, "dividend", "dividend_paid", "cash_in_lieu"])


def _entries(portfolio_id: int) -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.filter(portfolio_id=portfolio_id).select_related("instrument", "book").order_by("-id")


def entries_by_reference(portfolio_id: int, reference: str) -> list[LedgerEntry]:
    """All entries of a portfolio under one reference, whatever their source: a fill's trade, and a commission that came later."""
    return list(LedgerEntry.objects.filter(portfolio_id=portfolio_id, source_ref=reference).order_by("id"))


def net_deposits(portfolio_id: int) -> Decimal:
    """All that ever came in from outside less what went out, cash and shares, in the portfolio's currency."""
    return net_deposits_many([portfolio_id]).get(portfolio_id, ZERO)


def net_deposits_many(portfolio_ids: Collection[int]) -> dict[int, Decimal]:
    """The same of several portfolios; those without any are left out."""
    flows = LedgerEntry.objects.filter(portfolio_id__in=portfolio_ids, kind__in=FLOWS).order_by("portfolio_id").values_list("portfolio_id")
    return dict(flows.annotate(total=Sum(FLOW)))
