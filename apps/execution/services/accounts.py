"""Brokerage accounts: where a portfolio's orders go."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from apps.compliance.domain.regimes import AccountTerms, AccountType, Regime, default_regime
from apps.core.errors import Conflict, InvalidInput
from apps.core.money import MONEY_PLACES, exact
from apps.core.postgres.base import Question
from apps.core.postgres.rows import rows_question, rows_with
from apps.core.trading import TradingMode
from apps.execution.brokers.alpaca import ALPACA
from apps.execution.brokers.alpaca_words import mode_of_number as alpaca_mode
from apps.execution.brokers.ib import IB
from apps.execution.brokers.ib_words import mode_of_number
from apps.execution.brokers.paper import PAPER
from apps.execution.models import BrokerageAccount
from apps.portfolios.services.portfolios import portfolio_lock

#: The columns of an account that say which day-trading rules it is held to.
TERMS = (
    "account_type",
    "day_trading_regime",
    "regime_confirmed_with_broker_on",
    "regime_source",
    "house_rule",
    "pattern_day_trader_since",
    "frozen_until",
)

#: What a trade is expected to cost, for previews and proposals: what was taken comes with the broker's reports. Interactive Brokers' fixed prices
#: of US stocks (interactivebrokers.com, Pricing, Commissions, Stocks: USD 0.005 a share, at least 1.00, at most 1 % of the value); Alpaca's free
#: trading of US stocks (alpaca.markets, Pricing), without regulatory fees. Slippage is that of a paper account.
ESTIMATES: dict[str, dict[str, Decimal]] = {
    IB: {"slippage_bps": Decimal(5), "commission": Decimal(1), "commission_per_share": Decimal("0.005"), "commission_cap": Decimal("0.01")},
    ALPACA: {"slippage_bps": Decimal(5), "commission": Decimal(0)},
}


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


def ib_account_create(*, portfolio_id: int, number: str) -> BrokerageAccount:
    """Let a portfolio trade through an account at Interactive Brokers. Its mode is what its number says (DU..., DF...: paper).

    Returns the account that is there when it is the same. Raises InvalidInput for what is no account number, Conflict when the
    portfolio has another account or the number belongs to another portfolio.
    """
    if not re.fullmatch(r"[A-Z]{1,3}[0-9]{4,12}", number):
        raise InvalidInput(f"{number!r} is no account number of Interactive Brokers", field="number")
    return _account_create(portfolio_id=portfolio_id, broker=IB, number=number, mode=mode_of_number(number))


def alpaca_account_create(*, portfolio_id: int, number: str) -> BrokerageAccount:
    """Let a portfolio trade through an account at Alpaca. Its mode is what its number says (PA...: paper).

    Returns the account that is there when it is the same. Raises InvalidInput and Conflict as for Interactive Brokers.
    """
    if not re.fullmatch(r"[A-Z0-9]{6,20}", number):
        raise InvalidInput(f"{number!r} is no account number of Alpaca", field="number")
    return _account_create(portfolio_id=portfolio_id, broker=ALPACA, number=number, mode=alpaca_mode(number))


def _account_create(*, portfolio_id: int, broker: str, number: str, mode: TradingMode) -> BrokerageAccount:
    """One portfolio has one account, and a number belongs to one portfolio. What the broker takes comes with its reports."""
    found = BrokerageAccount.objects.filter(Q(portfolio_id=portfolio_id) | Q(number=number)).first()
    if found is None:
        return BrokerageAccount.objects.create(portfolio_id=portfolio_id, broker=broker, mode=mode.value, number=number, **ESTIMATES[broker])
    if (found.portfolio_id, found.broker, found.number) != (portfolio_id, broker, number):
        raise Conflict(f"portfolio {found.portfolio_id} trades through account {found.number} already", field="portfolio_id")
    return found


def account_terms(account: BrokerageAccount) -> AccountTerms:
    """What its row says about day trading."""
    return AccountTerms(
        account_type=AccountType(account.account_type),
        regime=Regime(account.day_trading_regime) if account.day_trading_regime else None,
        confirmed_on=account.regime_confirmed_with_broker_on,
        house_rule=account.house_rule,
        designated_on=account.pattern_day_trader_since,
        frozen_until=account.frozen_until,
    )


def account_save(account: BrokerageAccount, *, columns: Sequence[str], reason: str) -> None:
    """Store these columns of an account. They hold for the next order: one that is being judged is waited for."""
    account._change_reason = reason[:100]  # type: ignore[attr-defined] # read by django-simple-history
    with transaction.atomic():
        portfolio_lock(account.portfolio_id)
        account.save(update_fields=columns)


def account_margin(account: BrokerageAccount, *, day: date, reason: str) -> BrokerageAccount:
    """Make a cash account a margin account, in the regime of accounts that are opened on `day`; one that is a margin account stays as it is."""
    if account.account_type == AccountType.CASH:
        account.account_type, account.day_trading_regime = AccountType.MARGIN.value, default_regime(day).value
        account_save(account, columns=TERMS, reason=reason)
    return account


# In SQL, because each order asks it.
_EARLIER = "(select id from execution_order where client_order_id = %s)"
_ACCOUNT = "from execution_brokerageaccount row where row.portfolio_id = %s"


def account_and_earlier_order(*, portfolio_id: int, client_order_id: UUID) -> tuple[BrokerageAccount, int | None]:
    """The portfolio's account, and the id of the desk's order which has this client order id already, or None. One query.

    Raises Conflict when the portfolio has no account.
    """
    found = rows_with(_EARLIER, BrokerageAccount, _ACCOUNT, [client_order_id, portfolio_id])
    if not found:
        raise Conflict(f"portfolio {portfolio_id} has no brokerage account", field="portfolio_id")
    return found[0]


def account_question(*, portfolio_id: int, client_order_id: UUID) -> Question:
    """What `account_and_earlier_order` asks, for `asked_together`."""
    return rows_question(_EARLIER, BrokerageAccount, _ACCOUNT, [client_order_id, portfolio_id])


def account_of(portfolio_id: int) -> BrokerageAccount:
    """The portfolio's account. Raises Conflict when it has none: its orders would go nowhere."""
    account = BrokerageAccount.objects.filter(portfolio_id=portfolio_id).first()
    if account is None:
        raise Conflict(f"portfolio {portfolio_id} has no brokerage account", field="portfolio_id")
    return account
