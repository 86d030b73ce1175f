from apps.portfolios.models.bookings import BookingKind, BookingRequest, BookingState
from apps.portfolios.models.borrow import BorrowRate
from apps.portfolios.models.ledger import EITHER, FLOW, FLOWS, INCOME, MOVED, OF_INSTRUMENT, TRADED, EntryKind, LedgerEntry, Lot, LotClosure
from apps.portfolios.models.portfolios import MAIN_BOOK, Book, Portfolio, PortfolioMembership, PortfolioRole, PortfolioStatus
from apps.portfolios.models.projections import CashBalance, PortfolioValue, Position
from apps.portfolios.models.rebalancing import RebalanceEvent, RebalanceProposal, RebalanceTrade, TargetPlan, TargetWeight

__all__ = [
    "EITHER",
    "FLOW",
    "FLOWS",
    "INCOME",
    "MAIN_BOOK",
    "MOVED",
    "OF_INSTRUMENT",
    "TRADED",
    "Book",
    "BookingKind",
    "BookingRequest",
    "BookingState",
    "BorrowRate",
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
