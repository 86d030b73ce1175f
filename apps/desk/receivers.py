"""What the desk does when something below it says that it has changed."""

from typing import Any

from apps.desk.streams import trading_state_publish


def show_trading_state(*, portfolio_id: int | None, **_: Any) -> None:
    """Receive risk's trading_state_changed: repaint the banner of every open page."""
    trading_state_publish(portfolio_id=portfolio_id)
