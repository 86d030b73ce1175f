from apps.marketdata.models.archive import Archive, ArchiveDrop, RetentionPolicy
from apps.marketdata.models.bars import Bar, BarSource
from apps.marketdata.models.corporate_actions import ActionStatus, CorporateAction
from apps.marketdata.models.coverage import BarCoverage
from apps.marketdata.models.factors import FactorRun, FactorScore, Universe
from apps.marketdata.models.features import FeatureSetDefinition
from apps.marketdata.models.feed import FeedFault, FeedHealth, FeedSpool, FeedState, Tick
from apps.marketdata.models.fundamentals import Fundamental, Period
from apps.marketdata.models.instruments import AssetClass, Instrument, InstrumentSymbol
from apps.marketdata.models.quality import QualityFinding, QualityRun, SeriesQuality
from apps.marketdata.models.quarantine import Quarantine
from apps.marketdata.models.screens import Screen
from apps.marketdata.models.series import ClosePrice, ReferencePoint, ReferenceSeries
from apps.marketdata.models.status import MarketStatus
from apps.marketdata.models.subscriptions import RunOutcome, Subscription, SubscriptionRun
from apps.marketdata.models.ticks import DepthUpdate, OrderEvent, Quote, Trade
from apps.marketdata.models.universes import NamedUniverse, UniverseMember
from apps.marketdata.models.vendors import Forced, IncidentKind, Vendor, VendorIncident
from apps.marketdata.models.watchlists import Watchlist, WatchlistItem

__all__ = [
    "ActionStatus",
    "Archive",
    "ArchiveDrop",
    "AssetClass",
    "Bar",
    "BarCoverage",
    "BarSource",
    "ClosePrice",
    "CorporateAction",
    "DepthUpdate",
    "FactorRun",
    "FactorScore",
    "FeatureSetDefinition",
    "FeedFault",
    "FeedHealth",
    "FeedSpool",
    "FeedState",
    "Forced",
    "Fundamental",
    "IncidentKind",
    "Instrument",
    "InstrumentSymbol",
    "MarketStatus",
    "NamedUniverse",
    "OrderEvent",
    "Period",
    "QualityFinding",
    "QualityRun",
    "Quarantine",
    "Quote",
    "ReferencePoint",
    "ReferenceSeries",
    "RetentionPolicy",
    "RunOutcome",
    "Screen",
    "SeriesQuality",
    "Subscription",
    "SubscriptionRun",
    "Tick",
    "Trade",
    "Universe",
    "UniverseMember",
    "Vendor",
    "VendorIncident",
    "Watchlist",
    "WatchlistItem",
]
