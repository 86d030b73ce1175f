from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from simple_history.models import HistoricalRecords

from apps.marketdata.domain.weights import Optimizer
from apps.portfolios.domain.closing import LotMethod

if TYPE_CHECKING:
    from apps.core.models import User

#: The book that every portfolio has: what people trade in unless they name another one.
MAIN_BOOK = "main"


class PortfolioStatus(models.TextChoices):
    ACTIVE = "active"
    CLOSED = "closed"


class PortfolioRole(models.TextChoices):
    VIEWER = "viewer"
    TRADER = "trader"
    MANAGER = "manager"


class PortfolioQuerySet(models.QuerySet["Portfolio"]):
    def visible_to(self, user: "User") -> Self:
        """Portfolios whose numbers the user may see: memberships, or the permission to see all."""
        if user.has_perm("portfolios.view_all_portfolios"):
            return self
        return self.filter(memberships__user=user)

    def tradable_by(self, user: "User") -> Self:
        """Portfolios in which the user may place orders."""
        if not user.has_perm("execution.add_order"):
            return self.none()
        roles = [PortfolioRole.TRADER, PortfolioRole.MANAGER]
        return self.filter(status=PortfolioStatus.ACTIVE, memberships__user=user, memberships__role__in=roles)


class Portfolio(models.Model):
    """A pot of money with positions. Cash and positions are projections of its ledger."""

    name = models.CharField(max_length=100, unique=True)
    base_currency = models.CharField(max_length=3, default="USD")
    benchmark_symbol = models.CharField(max_length=20, blank=True)
    status = models.CharField(max_length=8, choices=PortfolioStatus.choices, default=PortfolioStatus.ACTIVE)
    lot_method = models.CharField(
        max_length=8,
        choices=[(method.value, method.value) for method in LotMethod],
        default=LotMethod.FIFO.value,
        help_text="Which lots a sale closes first, from now on: each entry keeps the method by which it was booked",
    )
    optimizer_type = models.CharField(
        max_length=20,
        choices=[(optimizer.value, optimizer.value) for optimizer in Optimizer],
        blank=True,
        help_text="How its target weights are made; empty: by hand",
    )
    num_positions = models.PositiveSmallIntegerField(default=20, help_text="How many instruments its targets shall have")
    created_at = models.DateTimeField()
    history = HistoricalRecords()

    objects = PortfolioQuerySet.as_manager()

    class Meta:
        permissions = [("view_all_portfolios", "Can see every portfolio")]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=PortfolioStatus.values), name="portfolio_status"),
            models.CheckConstraint(condition=models.Q(lot_method__in=[method.value for method in LotMethod]), name="portfolio_lot_method"),
            models.CheckConstraint(
                condition=models.Q(optimizer_type__in=["", *(optimizer.value for optimizer in Optimizer)], num_positions__gte=1),
                name="portfolio_optimizer",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PortfolioMembership(models.Model):
    """Who sees a portfolio, and who trades in it."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=8, choices=PortfolioRole.choices)
    history = HistoricalRecords()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "user"], name="membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=PortfolioRole.values), name="membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.portfolio}"


class Book(models.Model):
    """A part of a portfolio with positions of its own: a strategy trades in its own book."""

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="books")
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["portfolio", "name"], name="book_name_in_portfolio"),
            models.UniqueConstraint(fields=["id", "portfolio"], name="book_and_portfolio"),  # what the ledger's composite key refers to
        ]

    def __str__(self) -> str:
        return f"{self.portfolio} / {self.name}"
