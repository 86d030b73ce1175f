from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.core.money import MONEY_DIGITS, MONEY_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.portfolios.models.ledger import FX_DIGITS, FX_PLACES
from apps.portfolios.models.portfolios import Book, Portfolio


class BookingKind(models.TextChoices):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    FEE = "fee"
    INTEREST = "interest"
    CASH_TRANSFER = "cash_transfer", "Transfer of cash to another portfolio"
    CONVERSION = "conversion", "Conversion of cash"
    SHARE_TRANSFER = "share_transfer", "Transfer of shares to another book"
    SHARES_IN = "shares_in", "Shares from outside the desk"
    SHARES_OUT = "shares_out", "Shares that leave the desk"


class BookingState(models.TextChoices):
    PENDING = "pending"
    POSTED = "posted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class BookingRequest(models.Model):
    """One person asks for ledger entries by hand; a second one decides until `expires_at`, and then they are posted in the same transaction.

    Its content never changes, and it is decided once: the database sees to both, and takes no entry of the source "booking" without it.
    `amount` is positive, except that interest paid is negative; it is in `currency`. `fx_rate` is the portfolio's currency for one of that, where
    the two differ. A conversion sells `amount` and buys amount x `rate` of `to_currency`. `quantity` and `cost` are signed like the position;
    `lots` is [lot, quantity], where the lots that leave are named.
    """

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="bookings", db_index=False)
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=14, choices=BookingKind.choices)
    to_book = models.ForeignKey(Book, null=True, on_delete=models.PROTECT, related_name="+")
    instrument = models.ForeignKey("marketdata.Instrument", null=True, on_delete=models.PROTECT, related_name="+")
    amount = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, null=True)
    currency = models.CharField(max_length=3, blank=True)
    fx_rate = models.DecimalField(max_digits=FX_DIGITS, decimal_places=FX_PLACES, null=True)
    rate = models.DecimalField(max_digits=FX_DIGITS, decimal_places=FX_PLACES, null=True)
    to_currency = models.CharField(max_length=3, blank=True)
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, null=True)
    cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, null=True)
    acquired_at = models.DateTimeField(null=True)
    lots = models.JSONField(default=list, blank=True)
    reason = models.CharField(max_length=500)
    state = models.CharField(max_length=9, choices=BookingState.choices, default=BookingState.PENDING)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True, help_text="What the second person says")

    class Meta:
        permissions = [("approve_bookingrequest", "Can approve or reject a booking that another person asks for")]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=BookingKind.values), name="booking_kind"),
            models.CheckConstraint(condition=~Q(reason=""), name="booking_reason"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("requested_at")), name="booking_expires"),
            models.CheckConstraint(
                condition=Q(state=BookingState.PENDING, decided_by__isnull=True, decided_at__isnull=True)
                | Q(state__in=[BookingState.POSTED, BookingState.REJECTED], decided_by__isnull=False, decided_at__lt=F("expires_at"))
                & ~Q(decided_by=F("requested_by"))
                | Q(state=BookingState.WITHDRAWN, decided_by=F("requested_by"), decided_at__isnull=False),
                name="booking_by_two",
            ),
        ]
        indexes = [models.Index(fields=["portfolio", "-id"], name="booking_portfolio")]

    def __str__(self) -> str:
        return f"booking {self.pk}: {self.get_kind_display()} in {self.portfolio}, {self.state}"

    @property
    def portfolio_ids(self) -> set[int]:
        """The portfolios in which it books."""
        return {self.portfolio_id} | ({self.to_book.portfolio_id} if self.to_book else set())

    @property
    def terms(self) -> str:
        """What would be booked, in words."""
        parts = [self.get_kind_display()]
        if self.amount is not None:
            parts.append(f"{self.amount.normalize():f} {self.currency}")
        if self.rate is not None:
            parts.append(f"at {self.rate.normalize():f} into {self.to_currency}")
        if self.quantity is not None:
            parts.append(f"{self.quantity.normalize():f} {self.instrument}")
        if self.cost is not None:
            parts.append(f"which cost {self.cost.normalize():f}")
        if self.to_book is not None:
            parts.append(f"to {self.to_book}")
        return " ".join(parts)
