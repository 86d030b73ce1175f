from apps.portfolios.models.ledger import EITHER, FLOWS, INCOME, MOVED, OF_INSTRUMENT, TRADED, EntryKind, LedgerEntry, Lot, LotClosure
from apps.portfolios.models.portfolios import MAIN_BOOK, Book, Portfolio, PortfolioMembership, PortfolioRole, PortfolioStatus
from apps.portfolios.models.projections import CashBalance, PortfolioValue, Position
from apps.portfolios.models.rebalancing import RebalanceEvent, RebalanceProposal, RebalanceTrade, TargetPlan, TargetWeight

__all__ = [
    "EITHER",
    "FLOWS",
    "INCOME",
    "MAIN_BOOK",
    "MOVED",
    "OF_INSTRUMENT",
    "TRADED",
    "Book",
    "CashBalance",
    "EntryKind",
    "LedgerEntry",
    "Lot",
    "LotClosure",
    "Portfolio",
    "PortfolioMembership",
    "PortfolioRole",
    "PortfolioStatus",
    "PortfolioValue",
    "Position",
    "RebalanceEvent",
    "RebalanceProposal",
    "RebalanceTrade",
    "TargetPlan",
    "TargetWeight",
]
