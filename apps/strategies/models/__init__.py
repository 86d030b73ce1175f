from apps.strategies.models.backtests import BacktestRun
from apps.strategies.models.signals import Signal

__all__ = ["BacktestRun", "Signal"]
