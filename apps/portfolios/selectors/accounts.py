"""Whether portfolios trade on paper. Portfolios know no brokerage accounts: the app above that has them says so."""

from collections.abc import Callable, Collection, Mapping

from apps.core.trading import TradingMode

#: Trading mode by portfolio id; a portfolio without account is left out.
Modes = Callable[[Collection[int]], Mapping[int, str]]

_modes: dict[str, Modes] = {}


def register_account_modes(find: Modes) -> None:
    """Say how the modes of accounts are found, from AppConfig.ready()."""
    _modes["accounts"] = find


def paper_trading(portfolio_ids: Collection[int]) -> dict[int, bool]:
    """True on paper, False live, by portfolio id; those without account are left out."""
    find = _modes.get("accounts")
    return {} if find is None else {portfolio_id: mode == TradingMode.PAPER for portfolio_id, mode in find(portfolio_ids).items()}
