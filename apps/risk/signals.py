"""What risk announces, always after commit.

trading_state_changed: portfolio_id (int, or None for the whole desk), state (TradingState), reason (str), user_id (int), at (datetime).
"""

from django.dispatch import Signal

trading_state_changed = Signal()
