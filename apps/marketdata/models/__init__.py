from apps.marketdata.models.bars import Bar, BarSource
from apps.marketdata.models.feed import FeedState, Tick
from apps.marketdata.models.instruments import AssetClass, Instrument
from apps.marketdata.models.ticks import DepthUpdate, OrderEvent, Quote, Trade

__all__ = ["AssetClass", "Bar", "BarSource", "DepthUpdate", "FeedState", "Instrument", "OrderEvent", "Quote", "Tick", "Trade"]
