"""A desk and the live monitor over it, with a clock that moves with each price."""

from datetime import timedelta
from decimal import Decimal

from apps.alerts.models import Alert
from apps.core.roles import Role
from apps.marketdata.selectors.quotes import FeedMessage
from apps.risk.services.monitor import RiskMonitor
from apps.risk.tests.factories import NOW, Desk, RiskLimitFactory, person


class Watch:
    """A desk that holds 500 shares at 100 of 100,000, and a monitor over it whose clock moves a second with each price."""

    def __init__(self) -> None:
        self.risk_manager = person(Role.RISK)
        self.desk = Desk()
        self.desk.trade(400, 100)
        self.monitor = RiskMonitor()
        self.now = NOW

    @property
    def portfolio_id(self) -> int:
        return self.desk.portfolio.pk

    def price(self, price: str, *, seconds: float = 1):
        self.now += timedelta(seconds=seconds)
        self.desk.price(price, at=self.now)
        message = FeedMessage(
            kind="quotes",
            feed="test",
            session=NOW.date(),
            market_time=self.now,
            received_at=self.now,
            symbols=(self.desk.symbol,),
            prices={self.desk.symbol: Decimal(price)},
        )
        self.monitor.receive(message)
        return self.step()

    def step(self):
        views = self.monitor.step(self.now)
        return next((view for view in views if view.summary.portfolio_id == self.portfolio_id), None)

    def act(self, action: str) -> None:
        """Beside the limit of the desk's day another of the same levels: of two in force the stricter action counts."""
        levels = {"soft": Decimal("0.02"), "hard": Decimal("0.04"), "active_to": NOW + timedelta(days=1)}
        RiskLimitFactory(portfolio_id=self.portfolio_id, kind="daily_loss", action=action, **levels)

    def alerts(self) -> list[tuple[str, str]]:
        return list(Alert.objects.filter(subject=f"portfolio:{self.portfolio_id}").order_by("id").values_list("code", "data__kind"))
