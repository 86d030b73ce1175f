"""Brokerage accounts: where a portfolio's orders go."""

from decimal import Decimal
from uuid import UUID

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


_FOR_ORDER = """
select account.*, (
    select id from execution_order where portfolio_id = account.portfolio_id and client_order_id = %s
) as earlier_order_id
from execution_brokerageaccount account where account.portfolio_id = %s
"""


def account_and_earlier_order(*, portfolio_id: int, client_order_id: UUID) -> tuple[BrokerageAccount, int | None]:
    """The portfolio's account, and the id of the order which has this client order id already, or None. One query.

    Raises Conflict when the portfolio has no account.
    """
    for account in BrokerageAccount.objects.raw(_FOR_ORDER, [client_order_id, portfolio_id]):
        earlier: int | None = vars(account)["earlier_order_id"]
        return account, earlier
    raise Conflict(f"portfolio {portfolio_id} has no brokerage account", field="portfolio_id")


def account_of(portfolio_id: int) -> BrokerageAccount:
    """The portfolio's account. Raises Conflict when it has none: its orders would go nowhere."""
    account = BrokerageAccount.objects.filter(portfolio_id=portfolio_id).first()
    if account is None:
        raise Conflict(f"portfolio {portfolio_id} has no brokerage account", field="portfolio_id")
    return account
