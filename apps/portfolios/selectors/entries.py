"""What the ledger's entries say, for queries of other apps that add a column to rows of their own."""

from django.db.models import OuterRef, Subquery

from apps.portfolios.models import LedgerEntry


def rate_of_entry(*, source: str, reference: str) -> Subquery:
    """The exchange rate (base per unit of currency) of the entry of a source whose reference stands in the row's column `reference`."""
    return Subquery(LedgerEntry.objects.filter(source=source, source_ref=OuterRef(reference)).values("fx_rate")[:1])
