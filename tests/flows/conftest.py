"""One small desk for the flows: a trader, a risk manager, a second one, a portfolio with limits, an account and a price."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group

from apps.core.models import User
from apps.core.trading import OrderIntent
from apps.execution.services.accounts import paper_account_create
from apps.execution.services.intents import intent_build
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.quotes import Quote
from apps.marketdata.services.quotes import quotes_publish
from apps.marketdata.tests.factories import InstrumentFactory
from apps.portfolios.models import Portfolio
from apps.portfolios.services.portfolios import portfolio_create
from apps.risk.domain.limits import LimitKind
from apps.risk.services.limits import limit_set

LIMITS = {
    LimitKind.POSITION_SIZE: 2_000,
    LimitKind.POSITION_VALUE: 60_000,
    LimitKind.TOTAL_EXPOSURE: 90_000,
    LimitKind.ORDER_RATE: 100,
    LimitKind.SYMBOL_ORDER_RATE: 50,
    LimitKind.PRICE_COLLAR: Decimal("0.1"),
    LimitKind.DAILY_LOSS: Decimal("0.05"),
    LimitKind.DRAWDOWN: Decimal("0.2"),
}


def person(name: str, role: str) -> User:
    user = User.objects.create_user(name, password="a-test-password")
    user.groups.add(Group.objects.get(name=role))
    return user


@dataclass
class SmallDesk:
    now: datetime
    trader: User
    risk: User
    second_risk: User
    portfolio: Portfolio
    instrument: Instrument

    def price(self, price: str) -> None:
        """The market shows this price from now on."""
        quote = Quote(
            symbol=self.instrument.symbol,
            instrument_id=self.instrument.pk,
            price=Decimal(price),
            market_time=self.now,
            received_at=self.now,
            feed="test",
        )
        quotes_publish(quotes=[quote], feed="test")

    def intent(self, side: str = "buy", quantity: str = "100", **fields: object) -> OrderIntent:
        return intent_build(user=self.trader, portfolio_id=self.portfolio.pk, symbol=self.instrument.symbol, side=side, quantity=quantity, **fields)


@pytest.fixture
def small_desk(transactional_db: None) -> SmallDesk:
    now = datetime.now(UTC)
    trader, risk, second = person("ann", "trader"), person("rob", "risk"), person("ruth", "risk")
    opened = now - timedelta(hours=1)
    portfolio = portfolio_create(name="Flow", owner=trader, initial_capital=Decimal(100_000), effective_at=opened, recorded_at=opened)
    paper_account_create(portfolio_id=portfolio.pk)
    for kind, hard in LIMITS.items():
        limit_set(portfolio_id=portfolio.pk, kind=kind, hard=Decimal(hard), reason="flow", user=risk, approver=second, active_from=opened)
    desk = SmallDesk(now, trader, risk, second, portfolio, InstrumentFactory(symbol="FLOW"))
    desk.price("100")
    return desk
