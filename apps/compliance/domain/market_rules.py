"""Price bands (limit up, limit down) and the short sale circuit breaker (Regulation SHO, Rule 201): pure."""

from decimal import Decimal, InvalidOperation
from typing import Final

from apps.core.errors import InvalidInput
from apps.core.measures import measure

#: Above this price the tier decides.
LOW_PRICE: Final = Decimal(3)
#: Below this price the band is the lesser of an amount and a share.
LOWEST_PRICE: Final = Decimal("0.75")
TIER_SHARES: Final = {1: Decimal("0.05"), 2: Decimal("0.10")}
LOW_SHARE: Final = Decimal("0.20")
LOWEST_AMOUNT, LOWEST_SHARE = Decimal("0.15"), Decimal("0.75")
#: A fall of a tenth from the last close begins the restriction.
TRIGGER: Final = Decimal("0.90")


@measure(
    "compliance.luld.band",
    units="price",
    convention="5 % for tier 1, 10 % for tier 2, 20 % from 0.75 to 3.00, below that the lesser of 0.15 and 75 %; doubled near open and close",
    source="domain.md A5; plan to address extraordinary market volatility (NMS limit up, limit down)",
)
def luld_band(reference: Decimal | str | float, tier: int, near_open_close: bool = False) -> list[Decimal]:
    """Lowest and highest price at which an instrument may trade, from its reference price. Raises InvalidInput (no price, no tier)."""
    price = _price(reference, "reference")
    if tier not in TIER_SHARES:
        raise InvalidInput(f"there is no tier {tier!r}: 1 or 2", field="tier")
    if price > LOW_PRICE:
        width = price * TIER_SHARES[tier]
    elif price >= LOWEST_PRICE:
        width = price * LOW_SHARE
    else:
        width = min(LOWEST_AMOUNT, price * LOWEST_SHARE)
    width *= 2 if near_open_close else 1
    return [max(Decimal(0), price - width), price + width]


@measure(
    "compliance.reg_sho.triggered",
    units="boolean",
    convention="true when the last price is at most 90 % of the prior close",
    source="domain.md A5; Regulation SHO, Rule 201 (17 CFR 242.201)",
)
def short_sale_triggered(prior_close: Decimal | str | float, last: Decimal | str | float) -> bool:
    """Whether short sales become restricted for the rest of the day and the next session. Raises InvalidInput for what is no price."""
    return _price(last, "last") <= _price(prior_close, "prior_close") * TRIGGER


def short_sale_allowed(*, limit_price: Decimal | None, best_bid: Decimal | None) -> bool:
    """Whether a short sale may be sent while the restriction holds: only above the national best bid, so never at the market.

    Without a known bid nothing is above it.
    """
    return limit_price is not None and best_bid is not None and limit_price > best_bid


def _price(value: Decimal | str | float, field: str) -> Decimal:
    try:
        price = Decimal(str(value))
    except InvalidOperation as error:
        raise InvalidInput(f"{value!r} is no price", field=field) from error
    if not price.is_finite() or price <= 0:
        raise InvalidInput(f"{value!r} is no price: a price is above zero", field=field)
    return price
