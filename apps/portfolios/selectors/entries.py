"""What the ledger's entries say, for queries of other apps that add a column to rows of their own."""

from django.db.models import F, OuterRef, QuerySet, Subquery

from apps.portfolios.models import LedgerEntry


def rate_of_entry(*, source: str, reference: str) -> Subquery:
    """The exchange rate (base per unit of currency) of the entry of a source whose reference stands in the row's column `reference`."""
    return Subquery(_entry(source, reference).values("fx_rate")[:1])


def fee_of_entry(*, source: str, reference: str) -> Subquery:
    """The fee of that entry in the portfolio's currency."""
    return Subquery(_entry(source, reference).annotate(base_fee=F("fee") * F("fx_rate")).values("base_fee")[:1])


def _entry(source: str, reference: str) -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.filter(source=source, source_ref=OuterRef(reference))
