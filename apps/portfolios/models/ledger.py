from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Round

from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.portfolios.models.portfolios import Book, Portfolio


class EntryKind(models.TextChoices):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRADE = "trade"
    FEE = "fee"
    DIVIDEND = "dividend"


class LedgerEntry(models.Model):
    """One fact about money and shares. Append-only; corrections are new entries.

    `quantity` is signed (+ in, - out); `amount` is the signed change of cash after `fee` (>= 0).
    For a trade: amount = -(quantity x price), rounded half up to four places, - fee. Cash kinds carry an amount and nothing else;
    a dividend may name its instrument. That the book is the portfolio's own is a composite foreign key, in migration 0002.
    """

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="entries")
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="entries")
    kind = models.CharField(max_length=10, choices=EntryKind.choices)
    instrument = models.ForeignKey("marketdata.Instrument", null=True, on_delete=models.PROTECT, related_name="+")
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, default=0)
    price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True)
    amount = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    fee = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0)
    currency = models.CharField(max_length=3)
    source = models.CharField(max_length=50, help_text='Who booked it, e.g. "fill", "cash", "demo"')
    source_ref = models.CharField(max_length=100, help_text="Unique within the source: booking twice is impossible")
    effective_at = models.DateTimeField(help_text="Market time when it was true")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "source_ref"], name="ledger_source_once"),
            models.CheckConstraint(condition=Q(fee__gte=0), name="ledger_fee_not_negative"),
            models.CheckConstraint(
                name="ledger_trade_adds_up",
                condition=~Q(kind=EntryKind.TRADE)
                | Q(
                    instrument__isnull=False,
                    price__isnull=False,  # a comparison with null is not false, and a check refuses only what is false
                    price__gt=0,
                    amount=-Round(F("quantity") * F("price"), precision=4, output_field=models.DecimalField()) - F("fee"),
                )
                & ~Q(quantity=0),
            ),
            models.CheckConstraint(
                name="ledger_cash_sign",
                condition=Q(kind=EntryKind.TRADE)
                | Q(kind__in=[EntryKind.DEPOSIT, EntryKind.DIVIDEND], amount__gt=0, quantity=0, price__isnull=True, fee=0)
                | Q(kind__in=[EntryKind.WITHDRAWAL, EntryKind.FEE], amount__lt=0, quantity=0, price__isnull=True, fee=0),
            ),
        ]
        indexes = [
            models.Index(fields=["portfolio", "effective_at"], name="ledger_portfolio_time"),
            models.Index(fields=["book", "instrument", "id"], name="ledger_book_instrument"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.source}:{self.source_ref}"


class Lot(models.Model):
    """Shares that came in together. `quantity` is signed as it was opened; `remaining` runs from it to zero.

    `cost` is signed like the quantity: cash paid for a long lot, minus the cash received for a short one, fees included.
    """

    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="lots")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    remaining = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)
    cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, help_text="Signed cost of `quantity`, fees included")
    remaining_cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry"], name="lot_once_per_entry"),
            models.CheckConstraint(
                name="lot_remaining_within",
                condition=Q(quantity__gt=0, remaining__gte=0, remaining__lte=F("quantity"))
                | Q(quantity__lt=0, remaining__lte=0, remaining__gte=F("quantity")),
            ),
            models.CheckConstraint(name="lot_closed_costs_nothing", condition=~Q(remaining=0) | Q(remaining_cost=0)),
        ]
        indexes = [models.Index(fields=["book", "instrument", "opened_at", "id"], condition=~Q(remaining=0), name="lot_open")]

    def __str__(self) -> str:
        return f"lot {self.pk} of {self.instrument}"


class LotClosure(models.Model):
    """A piece of a lot that a later entry closed, and what it earned. Append-only."""

    lot = models.ForeignKey(Lot, on_delete=models.PROTECT, related_name="closures")
    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, related_name="closures")
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, help_text="Closed, signed like the lot")
    cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    proceeds = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    realised = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, help_text="proceeds - cost")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lot", "entry"], name="lot_closure_once"),
            models.CheckConstraint(condition=Q(realised=F("proceeds") - F("cost")), name="lot_closure_adds_up"),
        ]

    def __str__(self) -> str:
        return f"closure of lot {self.lot_id} by {self.entry_id}"
