from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Round

from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.portfolios.domain.closing import LotMethod
from apps.portfolios.models.portfolios import Book, Portfolio


class EntryKind(models.TextChoices):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRADE = "trade"
    FEE = "fee"
    DIVIDEND = "dividend"
    DIVIDEND_PAID = "dividend_paid", "Dividend paid on a short"
    BORROW_FEE = "borrow_fee", "Short borrow fee"
    INTEREST = "interest"
    FX = "fx", "Currency conversion"
    SPLIT = "split"
    CASH_IN_LIEU = "cash_in_lieu", "Cash in lieu of fractions"
    TRANSFER = "transfer", "Transfer of shares"


#: Kinds in which shares change hands for money, by quantity and price.
TRADED = (EntryKind.TRADE, EntryKind.CASH_IN_LIEU)
#: Kinds which move shares and no money.
MOVED = (EntryKind.SPLIT, EntryKind.TRANSFER)
#: Cash kinds by the sign of their amount.
INCOME = (EntryKind.DEPOSIT, EntryKind.DIVIDEND)
OUTLAY = (EntryKind.WITHDRAWAL, EntryKind.FEE, EntryKind.DIVIDEND_PAID, EntryKind.BORROW_FEE)
EITHER = (EntryKind.INTEREST, EntryKind.FX)
#: Cash kinds which an instrument causes.
OF_INSTRUMENT = (EntryKind.DIVIDEND_PAID, EntryKind.BORROW_FEE)
#: What comes into a portfolio from outside and leaves it again: no gain, no loss. Everybody who counts flows counts these, by `FLOW`.
FLOWS = (EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.TRANSFER)
#: What such an entry is worth in the portfolio's currency: cash at its rate, shares at their price when they were moved.
FLOW = F("base_amount") + F("market_value")

FX_DIGITS, FX_PLACES = 20, 10
RATIO_DIGITS, RATIO_PLACES = 24, 10
_METHODS = [(method.value, method.value) for method in LotMethod]
_CASH = {"quantity": 0, "price__isnull": True, "fee": 0}


class LedgerEntry(models.Model):
    """One fact about money and shares. Append-only; corrections are new entries.

    `quantity` is signed (+ in, - out); `amount` is the signed change of cash in `currency` after `fee` (>= 0), `base_amount` the same in the
    portfolio's currency at `fx_rate` (base per unit of `currency`, at the time of the entry), which lots and gains are counted in.
    For a trade: amount = -(quantity x price), rounded half up to four places, - fee. A split multiplies the book's lots by `ratio` (new
    shares per old), its quantity is what that added. A transfer carries `cost` and `acquired_at` of one lot, and its `market_value` in the
    portfolio's currency when it was moved; cost and value are signed like the quantity.
    Cash kinds carry an amount and nothing else; a dividend may name its instrument. `lot_method` is the one in force when it was booked,
    `lot_picks` the lots that were named: [entry that opened the lot, quantity closed of it]. That the book is the portfolio's own is a
    composite foreign key, in migration 0002.
    """

    portfolio = models.ForeignKey(Portfolio, on_delete=models.PROTECT, related_name="entries", db_index=False)
    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="entries", db_index=False)
    kind = models.CharField(max_length=14, choices=EntryKind.choices)
    instrument = models.ForeignKey("marketdata.Instrument", null=True, on_delete=models.PROTECT, related_name="+")
    quantity = models.DecimalField(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES, default=0)
    price = models.DecimalField(max_digits=PRICE_DIGITS, decimal_places=PRICE_PLACES, null=True)
    amount = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    fee = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0)
    currency = models.CharField(max_length=3)
    fx_rate = models.DecimalField(max_digits=FX_DIGITS, decimal_places=FX_PLACES, default=1)
    base_amount = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    ratio = models.DecimalField(max_digits=RATIO_DIGITS, decimal_places=RATIO_PLACES, null=True)
    cost = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, null=True)
    acquired_at = models.DateTimeField(null=True)
    market_value = models.DecimalField(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES, default=0, db_default=0)
    lot_method = models.CharField(max_length=8, choices=_METHODS, blank=True)
    lot_picks = models.JSONField(null=True)
    source = models.CharField(max_length=50, help_text='Who booked it, e.g. "fill", "cash", "demo"')
    source_ref = models.CharField(max_length=100, help_text="Unique within the source: booking twice is impossible")
    effective_at = models.DateTimeField(help_text="Market time when it was true")
    settles_on = models.DateField(help_text="Exchange date on which cash and shares change hands")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "source_ref"], name="ledger_source_once"),
            models.CheckConstraint(condition=Q(fee__gte=0), name="ledger_fee_not_negative"),
            models.CheckConstraint(
                name="ledger_trade_adds_up",
                condition=~Q(kind__in=TRADED)
                | Q(
                    instrument__isnull=False,
                    price__isnull=False,  # a comparison with null is not false, and a check refuses only what is false
                    price__gt=0,
                    amount=-Round(F("quantity") * F("price"), precision=4, output_field=models.DecimalField()) - F("fee"),
                )
                & ~Q(quantity=0)
                & ~Q(lot_method=""),
            ),
            models.CheckConstraint(
                name="ledger_cash_sign",
                condition=Q(kind__in=[*TRADED, *MOVED])
                | Q(kind__in=INCOME, amount__gt=0, **_CASH)
                | Q(kind__in=OUTLAY, amount__lt=0, **_CASH)
                | Q(kind__in=EITHER, **_CASH) & ~Q(amount=0),
            ),
            models.CheckConstraint(name="ledger_names_instrument", condition=~Q(kind__in=OF_INSTRUMENT) | Q(instrument__isnull=False)),
            models.CheckConstraint(
                name="ledger_moves_no_money",
                condition=~Q(kind__in=MOVED) | Q(instrument__isnull=False, amount=0, price__isnull=True, fee=0),
            ),
            models.CheckConstraint(
                name="ledger_split_ratio",
                condition=Q(kind=EntryKind.SPLIT, ratio__isnull=False, ratio__gt=0) | ~Q(kind=EntryKind.SPLIT) & Q(ratio__isnull=True),
            ),
            models.CheckConstraint(
                name="ledger_transfer_carries_lot",
                condition=Q(kind=EntryKind.TRANSFER, cost__isnull=False, acquired_at__isnull=False)
                & (Q(quantity__gt=0, cost__gte=0, market_value__gte=0) | Q(quantity__lt=0, cost__lte=0, market_value__lte=0))
                | ~Q(kind=EntryKind.TRANSFER) & Q(cost__isnull=True, acquired_at__isnull=True, market_value=0),
            ),
            models.CheckConstraint(
                name="ledger_base_amount",
                condition=Q(fx_rate__gt=0, base_amount=Round(F("amount") * F("fx_rate"), precision=4, output_field=models.DecimalField())),
            ),
            models.CheckConstraint(
                name="ledger_lots_named",
                condition=Q(lot_picks__isnull=True) & ~Q(lot_method=LotMethod.SPECIFIC.value)
                | Q(lot_picks__isnull=False, lot_method=LotMethod.SPECIFIC.value, kind__in=[*TRADED, EntryKind.TRANSFER]),
            ),
        ]
        indexes = [
            models.Index(fields=["portfolio", "effective_at"], name="ledger_portfolio_time"),
            models.Index(fields=["book", "instrument", "id"], name="ledger_book_instrument"),
            models.Index(fields=["portfolio", "settles_on"], name="ledger_portfolio_settles"),
            models.Index(fields=["portfolio", "id"], condition=Q(kind__in=FLOWS), name="ledger_flows"),  # the monitor asks it all the time
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.source}:{self.source_ref}"


class Lot(models.Model):
    """Shares that came in together. `quantity` is signed as it was opened, in shares of today after splits; `remaining` runs from it to zero.

    `cost` is signed like the quantity: cash paid for a long lot, minus the cash received for a short one, fees included.
    """

    book = models.ForeignKey(Book, on_delete=models.PROTECT, related_name="lots")
    instrument = models.ForeignKey("marketdata.Instrument", on_delete=models.PROTECT, related_name="+")
    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, related_name="+", db_index=False)
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

    @property
    def unit_cost(self) -> Decimal | None:
        """Cost per share of what remains, to six places; None when nothing does."""
        return round(self.remaining_cost / self.remaining, PRICE_PLACES) if self.remaining else None


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
