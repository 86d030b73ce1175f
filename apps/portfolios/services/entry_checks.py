"""What an entry of each kind must say, checked before anything is asked of the database."""

from datetime import datetime
from decimal import Decimal

from apps.core.errors import InvalidInput
from apps.core.money import MONEY_DIGITS, MONEY_PLACES, PRICE_DIGITS, PRICE_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES, exact
from apps.portfolios.domain.lots import trade_amount
from apps.portfolios.models import EITHER, INCOME, MOVED, OF_INSTRUMENT, TRADED, EntryKind
from apps.portfolios.models.ledger import FX_DIGITS, FX_PLACES
from apps.portfolios.services.posting import Fact


def fact_checked(
    *,
    portfolio_id: int,
    book_id: int,
    kind: str,
    instrument_id: int | None,
    quantity: Decimal,
    price: Decimal | None,
    amount: Decimal | None,
    fee: Decimal,
    currency: str,
    fx_rate: Decimal | None,
    effective_at: datetime,
) -> Fact:
    """The fact of a trade or of cash. Raises InvalidInput, naming the field."""
    if kind not in EntryKind.values:
        raise InvalidInput(f"{kind!r} is no kind of ledger entry ({', '.join(EntryKind.values)})", field="kind")
    if kind in MOVED:
        raise InvalidInput(f"a {kind} is booked by its own service (services.moves)", field="kind")
    quantity = number(quantity, places=QUANTITY_PLACES, digits=QUANTITY_DIGITS, field="quantity")
    fee = number(fee, places=MONEY_PLACES, digits=MONEY_DIGITS, field="fee")
    if kind in TRADED:
        price, amount = _trade(EntryKind(kind), instrument_id, quantity, price, amount, fee)
    else:
        amount = _cash(EntryKind(kind), instrument_id, quantity, price, amount, fee)
    return Fact(
        portfolio_id=portfolio_id,
        book_id=book_id,
        kind=EntryKind(kind),
        instrument_id=instrument_id,
        quantity=quantity,
        price=price,
        amount=amount,
        fee=fee,
        currency=currency,
        fx_rate=Decimal(1) if fx_rate is None else _rate(fx_rate),
        effective_at=effective_at,
    )


def number(value: Decimal, *, places: int, digits: int, field: str) -> Decimal:
    """The value, exactly as the database stores it. Raises InvalidInput for more places or digits than that."""
    checked = exact(value, places=places, field=field)
    if abs(checked) >= Decimal(1).scaleb(digits - places):
        raise InvalidInput(f"{value} has more than {digits - places} digits before the point", field=field)
    return checked


def rate_check(fact: Fact, *, base_currency: str, fx_rate: Decimal | None) -> None:
    """A rate is there when the entry is not in the base currency, and is 1 when it is. Raises InvalidInput."""
    if fact.currency == base_currency:
        if fact.fx_rate != 1:
            raise InvalidInput(f"the rate of {base_currency} in {base_currency} was {fx_rate}, but it is 1", field="fx_rate")
    elif len(fact.currency) != 3 or not fact.currency.isascii() or not fact.currency.isupper():
        raise InvalidInput(f"{fact.currency!r} is no ISO 4217 currency code", field="currency")
    elif fx_rate is None:
        raise InvalidInput(f"an entry in {fact.currency} names its rate: {base_currency} for one {fact.currency}", field="fx_rate")


def _rate(value: Decimal) -> Decimal:
    rate = number(value, places=FX_PLACES, digits=FX_DIGITS, field="fx_rate")
    if rate <= 0:
        raise InvalidInput(f"the rate was {rate}, but it must be positive", field="fx_rate")
    return rate


def _trade(
    kind: EntryKind, instrument_id: int | None, quantity: Decimal, price: Decimal | None, amount: Decimal | None, fee: Decimal
) -> tuple[Decimal, Decimal]:
    """Price and amount of a trade."""
    if instrument_id is None:
        raise InvalidInput(f"a {kind} names its instrument", field="instrument_id")
    if not quantity:
        raise InvalidInput(f"a {kind} has a quantity", field="quantity")
    if price is None:
        raise InvalidInput(f"a {kind} has a price", field="price")
    price = number(price, places=PRICE_PLACES, digits=PRICE_DIGITS, field="price")
    if price <= 0:
        raise InvalidInput(f"the price was {price}, but it must be positive", field="price")
    if fee < 0:
        raise InvalidInput(f"the fee was {fee}, but it must not be negative", field="fee")
    computed = number(trade_amount(quantity=quantity, price=price, fee=fee), places=MONEY_PLACES, digits=MONEY_DIGITS, field="quantity")
    if amount is not None and amount != computed:
        raise InvalidInput(f"the amount was {amount}, but quantity, price and fee make {computed}", field="amount")
    return price, computed


def _cash(kind: EntryKind, instrument_id: int | None, quantity: Decimal, price: Decimal | None, amount: Decimal | None, fee: Decimal) -> Decimal:
    """Amount of a cash entry."""
    for field, given in (("quantity", quantity), ("price", price), ("fee", fee)):
        if given:
            raise InvalidInput(f"a {kind} carries an amount only", field=field)
    if kind in OF_INSTRUMENT and instrument_id is None:
        raise InvalidInput(f"a {kind} names its instrument", field="instrument_id")
    if amount is None:
        raise InvalidInput(f"a {kind} has an amount", field="amount")
    amount = number(amount, places=MONEY_PLACES, digits=MONEY_DIGITS, field="amount")
    if amount == 0 or (kind not in EITHER and (amount > 0) != (kind in INCOME)):
        wanted = "not be zero" if kind in EITHER else f"be {'positive' if kind in INCOME else 'negative'}"
        raise InvalidInput(f"the amount of a {kind} was {amount}, but it must {wanted}", field="amount")
    return amount
