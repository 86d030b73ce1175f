from apps.marketdata.models.feed import FeedState, Tick
from apps.marketdata.models.instruments import AssetClass, Instrument
from apps.marketdata.models.bars import Bar, BarSource

__all__ = ["AssetClass", "Bar", "BarSource", "FeedState", "Instrument", "Tick"]
