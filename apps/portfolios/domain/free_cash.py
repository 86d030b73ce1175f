"""How much of a portfolio's cash may leave it."""

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal, localcontext

from apps.core.money import MONEY_PLACES, ZERO
from apps.portfolios.domain.lots import PRECISION


def cash_free(*, lines: Mapping[str, Decimal], claims: Decimal, rates: Mapping[str, Decimal], currency: str) -> Decimal:
    """What of one currency is free, at least 0 and rounded down to four places.

    `lines` is cash by currency that is there and has settled (negative: a debt), `claims` [base currency] what it must serve: shorts at what they
    cost to buy back, working buys. `rates` is base per unit of each currency. Free is no more than there is of the currency itself, and no more
    than what all cash together leaves after the claims.
    """
    with localcontext(prec=PRECISION):
        together = sum((amount * rates[name] for name, amount in lines.items()), ZERO) - claims
        free = min(lines.get(currency, ZERO), together / rates[currency])
        return max(ZERO, free.quantize(Decimal(1).scaleb(-MONEY_PLACES), ROUND_DOWN))
