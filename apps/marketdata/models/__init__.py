from apps.marketdata.models.bars import Bar, BarSource
from apps.marketdata.models.feed import FeedState, Tick
from apps.marketdata.models.instruments import AssetClass, Instrument

__all__ = ["AssetClass", "Bar", "BarSource", "FeedState", "Instrument", "Tick"]
