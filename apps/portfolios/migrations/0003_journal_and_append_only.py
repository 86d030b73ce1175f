"""What the database records and refuses in this app.

Lots, positions and cash are projections of the ledger: they are not journalled, because they can be rebuilt from rows that are
(`services.rebuild`), and a trade would otherwise write six journal rows instead of two.
"""

from django.db import migrations

from apps.core.operations import AppendOnly, Hypertable, Journal, NoTruncate


class Migration(migrations.Migration):

    dependencies = [
        ("core", "0002_journal"),
        ("portfolios", "0002_ledger_adds_up"),
    ]

    operations = [
        Journal("LedgerEntry"),
        AppendOnly("LedgerEntry"),
        Journal("LotClosure"),
        AppendOnly("LotClosure"),
        Journal("Portfolio"),
        NoTruncate("Portfolio"),
        Journal("PortfolioMembership"),
        NoTruncate("PortfolioMembership"),
        Journal("Book"),
        NoTruncate("Book"),
        NoTruncate("Lot"),
        NoTruncate("Position"),
        NoTruncate("CashBalance"),
        AppendOnly("HistoricalPortfolio"),
        AppendOnly("HistoricalPortfolioMembership"),
        Hypertable("PortfolioValue", "ts", 365),
    ]
