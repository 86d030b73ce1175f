"""Technical indicators: one registry on TA-Lib and NumPy."""

from apps.marketdata.domain.indicators.kinds import Indicator, Line, Parameter
from apps.marketdata.domain.indicators.registry import COLUMNS, compute, indicator_get, indicators

__all__ = ["COLUMNS", "Indicator", "Line", "Parameter", "compute", "indicator_get", "indicators"]
