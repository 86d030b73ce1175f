"""Brokerage accounts: where a portfolio's orders go."""

from decimal import Decimal

from apps.core.errors import Conflict
from apps.core.money import MONEY_PLACES, exact
from apps.core.trading import TradingMode
from apps.execution.brokers.paper import PAPER
from apps.execution.models import BrokerageAccount


def paper_account_create(*, portfolio_id: int, slippage_bps: Decimal = Decimal(5), commission: Decimal = Decimal(1)) -> BrokerageAccount:
    """Give a portfolio a paper account. `slippage_bps` and `commission` (per order) as in the first design: 5 bps and 1.

    Returns the account that is there when it has the same costs. Raises Conflict when the portfolio has another one.
    """
    costs = {
        "slippage_bps": exact(slippage_bps, places=4, field="slippage_bps"),
        "commission": exact(commission, places=MONEY_PLACES, field="commission"),
    }
    account, made = BrokerageAccount.objects.get_or_create(
        portfolio_id=portfolio_id, defaults={"broker": PAPER, "mode": TradingMode.PAPER.value, "number": f"PAPER-{portfolio_id:04d}", **costs}
    )
    if not made and (account.broker != PAPER or any(getattr(account, name) != value for name, value in costs.items())):
        raise Conflict(f"portfolio {portfolio_id} trades through account {account.number} already", field="portfolio_id")
    return account


def account_of(portfolio_id: int) -> BrokerageAccount:
    """The portfolio's account. Raises Conflict when it has none: its orders would go nowhere."""
    account = BrokerageAccount.objects.filter(portfolio_id=portfolio_id).first()
    if account is None:
        raise Conflict(f"portfolio {portfolio_id} has no brokerage account", field="portfolio_id")
    return account
