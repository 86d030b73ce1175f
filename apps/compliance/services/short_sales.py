"""Locates for short sales, what orders use of them, and the falls that restrict short sales."""

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Sum

from apps.compliance.domain.market_rules import short_sale_triggered
from apps.compliance.models import Locate, LocateUse, ShortSaleRestriction
from apps.core.errors import InvalidInput, NotPermitted
from apps.core.money import QUANTITY_PLACES, ZERO, exact
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.market import HOME_CALENDAR, market_clock
from apps.marketdata.selectors.market_facts import session_lows
from apps.marketdata.selectors.quotes import latest_quotes, previous_closes
from apps.portfolios.selectors.portfolios import portfolio_get

if TYPE_CHECKING:
    from apps.core.models import User


def locate_record(*, portfolio_id: int, symbol: str, quantity: Decimal | str | int, ground: str, source: str, user: "User", at: datetime) -> Locate:
    """Document a locate for the session that is on, or that comes next while the market is closed.

    Raises NotPermitted, NotFound (portfolio, symbol) and InvalidInput (quantity, ground, no source).
    """
    if not user.has_perm("compliance.add_locate"):
        raise NotPermitted("your role documents no locates")
    portfolio_get(user=user, portfolio_id=portfolio_id)
    shares = exact(quantity, places=QUANTITY_PLACES, field="quantity")
    if shares <= 0:
        raise InvalidInput("a locate is for more than no share", field="quantity")
    if ground not in Locate.Ground.values:
        raise InvalidInput(f"{ground!r} is none of {', '.join(Locate.Ground.values)}", field="ground")
    if not source.strip():
        raise InvalidInput("say who lends, or whose list it is", field="source")
    return Locate.objects.create(
        portfolio_id=portfolio_id,
        instrument=instrument_get(symbol),
        quantity=shares,
        ground=ground,
        source=source.strip()[:100],
        session=market_clock(at).session,
        obtained_by=user,
        recorded_at=at,
    )


def locate_use(*, portfolio_id: int, instrument_id: int, client_order_id: UUID, quantity: Decimal, session: date, at: datetime) -> None:
    """Take `quantity` shares that an order sells short off the session's locates; an order that took some already takes the difference.

    The caller holds the portfolio's lock and has asked the gate, so that no two orders use the same shares.
    """
    used = LocateUse.objects.filter(client_order_id=client_order_id, portfolio_id=portfolio_id).aggregate(total=Sum("quantity"))["total"] or ZERO
    if quantity > used:
        LocateUse.objects.create(
            portfolio_id=portfolio_id,
            instrument_id=instrument_id,
            session=session,
            client_order_id=client_order_id,
            quantity=quantity - used,
            recorded_at=at,
        )


def short_restrictions_update(*, at: datetime) -> list[ShortSaleRestriction]:
    """Record every instrument whose price in this session has fallen by a tenth from the last close; returns the new ones.

    Looks at the last prices and at the lows of the session's intraday bars, while the market is open. Doing it again adds nothing.
    """
    clock = market_clock(at)
    if not clock.is_open:
        return []
    prices = {quote.symbol: (quote.instrument_id, quote.price) for quote in latest_quotes().values()}
    for symbol, (instrument_id, low) in session_lows(clock.market_time).items():
        prices[symbol] = (instrument_id, min(low, prices.get(symbol, (0, low))[1]))
    known = set(ShortSaleRestriction.objects.filter(session=clock.session).values_list("instrument_id", flat=True))
    closes = previous_closes(sorted(prices), clock.market_time)
    fallen = [
        ShortSaleRestriction(
            instrument_id=instrument_id,
            session=clock.session,
            last_session=calendars.next_session(HOME_CALENDAR, clock.session),
            prior_close=closes[symbol],
            price=price,
            market_time=clock.market_time,
            recorded_at=at,
        )
        for symbol, (instrument_id, price) in sorted(prices.items())
        if symbol in closes and instrument_id not in known and short_sale_triggered(closes[symbol], price)
    ]
    return ShortSaleRestriction.objects.bulk_create(fallen, ignore_conflicts=True)
