"""What borrowing shares costs: the fee of a short position from one session to the next."""

from datetime import date
from decimal import Decimal, localcontext
from typing import Final

from apps.core.money import money
from apps.portfolios.domain.lots import PRECISION

#: Days of a year by the money market's count (ACT/360).
YEAR: Final = 360


def borrow_fee(*, quantity: Decimal, price: Decimal, annual_rate: Decimal, first: date, last: date) -> Decimal:
    """|quantity| x price x rate x days / 360, rounded half up to four places; >= 0.

    `quantity` (< 0) is what was short at the close of the session `first`, `price` [instrument's currency] its close, `annual_rate` a fraction a
    year, and the days are those of the calendar from that session to the next one, `last`: a Friday counts three.
    """
    with localcontext(prec=PRECISION):
        return money(-quantity * price * annual_rate * (last - first).days / YEAR)
