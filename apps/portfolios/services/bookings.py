"""Bookings by hand: one person asks, another decides, and then the entries are posted. What cannot be posted is refused when it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NoReturn
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.db import transaction

from apps.alerts.services import alert_raise
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.marketdata.selectors.instruments import instrument_get
from apps.portfolios.models import MAIN_BOOK, Book, BookingKind, BookingRequest, BookingState, Portfolio
from apps.portfolios.selectors.portfolios import holds_trading_role, portfolio_get, portfolio_members
from apps.portfolios.services.booking_entries import SOURCE, booking_post
from apps.portfolios.services.portfolios import portfolio_managed, portfolios_lock

if TYPE_CHECKING:
    from apps.core.models import User

REQUEST: Final = "portfolios.add_bookingrequest"
APPROVE: Final = "portfolios.approve_bookingrequest"
#: How long a request waits for the second person.
REQUEST_LIFE: Final = timedelta(hours=24)

_CASH = ("amount", "currency")
#: What a booking of each kind says; what it may say besides is `_MAY`.
_MUST: Final[dict[BookingKind, tuple[str, ...]]] = {
    BookingKind.DEPOSIT: _CASH,
    BookingKind.WITHDRAWAL: _CASH,
    BookingKind.FEE: _CASH,
    BookingKind.INTEREST: _CASH,
    BookingKind.CASH_TRANSFER: (*_CASH, "to_portfolio_id"),
    BookingKind.CONVERSION: (*_CASH, "rate", "to_currency"),
    BookingKind.SHARE_TRANSFER: ("symbol", "quantity"),
    BookingKind.SHARES_IN: ("symbol", "quantity", "cost", "acquired_at"),
    BookingKind.SHARES_OUT: ("symbol", "quantity"),
}
_MAY: Final[dict[BookingKind, tuple[str, ...]]] = {
    BookingKind.CASH_TRANSFER: ("fx_rate", "to_book"),
    BookingKind.SHARE_TRANSFER: ("lots", "to_portfolio_id", "to_book"),
    BookingKind.SHARES_IN: (),
    BookingKind.SHARES_OUT: ("lots",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingTerms:
    """What is asked for; signs, currencies and rates as of `models.BookingRequest`. Without `currency` an amount is in the portfolio's.

    `lots` is lot id -> quantity, signed like the lot. `to_portfolio_id` None is the same portfolio.
    """

    kind: str
    book: str = MAIN_BOOK
    amount: Decimal | None = None
    currency: str = ""
    fx_rate: Decimal | None = None
    rate: Decimal | None = None
    to_currency: str = ""
    to_portfolio_id: int | None = None
    to_book: str = ""
    symbol: str = ""
    quantity: Decimal | None = None
    cost: Decimal | None = None
    acquired_at: datetime | None = None
    lots: Mapping[int, Decimal] = field(default_factory=dict)


def booking_request(
    *, portfolio_id: int, terms: BookingTerms, reason: str, user: "User", at: datetime, market_time: datetime, tell: bool = True
) -> BookingRequest:
    """Ask for a booking. It is posted on trial and taken back, so that what cannot be booked now is not asked for.

    `tell` False where the second person is at hand. Raises NotPermitted (no permission, or no manager of the portfolio), NotFound (portfolio, book,
    instrument), InvalidInput (naming the field; more than is free or held) and Conflict (a price is missing, the other side is held).
    """
    if not user.is_active or not user.has_perm(REQUEST):
        raise NotPermitted(f"{user} may not ask for bookings")
    if not reason.strip():
        raise InvalidInput("a booking has a reason", field="reason")
    with transaction.atomic():
        portfolios_lock({portfolio_id, terms.to_portfolio_id or portfolio_id})
        portfolio = portfolio_managed(user=user, portfolio_id=portfolio_id, act="books by hand")
        request = _request(portfolio, terms, user)
        request.reason, request.requested_by, request.requested_at, request.expires_at = reason.strip(), user, at, at + REQUEST_LIFE
        with transaction.atomic():
            booking_post(request, source="trial", source_ref=uuid4().hex, at=at, market_time=market_time)
            transaction.set_rollback(True)
        request.save()
        if tell:
            _tell(request, "BOOKING_REQUESTED", f"{user} asks for a booking: {request.terms}", request.reason, at)
    return request


def booking_decide(*, booking_id: int, user: "User", approve: bool, note: str = "", at: datetime, market_time: datetime) -> BookingRequest:
    """The second person's word. What is approved is posted at `market_time`, under the source "booking" and the request's number.

    Raises NotFound (also a portfolio that the user does not see), NotPermitted (own request, no permission, a portfolio in which the user
    trades), InvalidInput (a rejection without a note; what has become impossible since) and Conflict (decided already, expired). Refusals to
    people are kept as alerts.
    """
    found = booking_get(booking_id=booking_id, user=user)
    _may_decide(found, user, at)
    said = note.strip()[:500]
    if not approve and not said:
        raise InvalidInput("a rejection needs a reason", field="note")
    with transaction.atomic():
        portfolios_lock(found.portfolio_ids)
        request = _decided(booking_id, BookingState.POSTED if approve else BookingState.REJECTED, user, said, at)
        if approve:
            booking_post(request, source=SOURCE, source_ref=str(request.pk), at=at, market_time=market_time)
        _tell(request, "BOOKING_POSTED" if approve else "BOOKING_REJECTED", f"{user} {request.state} {request.terms}", said or request.reason, at)
    return request


def booking_withdraw(*, booking_id: int, user: "User", at: datetime) -> BookingRequest:
    """Take back one's own request. Raises NotFound, NotPermitted (another's) and Conflict (decided already)."""
    if booking_get(booking_id=booking_id, user=user).requested_by_id != user.pk:
        raise NotPermitted("a request is withdrawn by who made it; others reject it")
    with transaction.atomic():
        return _decided(booking_id, BookingState.WITHDRAWN, user, "", at)


def booking_get(*, booking_id: int, user: "User") -> BookingRequest:
    """A request about portfolios which the user sees, all of them. Raises NotFound."""
    found = BookingRequest.objects.select_related("portfolio", "book", "to_book__portfolio", "instrument").filter(pk=booking_id).first()
    if found is None:
        raise NotFound(f"no booking {booking_id}")
    for portfolio_id in found.portfolio_ids:
        portfolio_get(user=user, portfolio_id=portfolio_id)
    return found


def _request(portfolio: Portfolio, terms: BookingTerms, user: "User") -> BookingRequest:
    """The request, not stored. Raises InvalidInput for a field that its kind lacks or does not have."""
    if terms.kind not in BookingKind.values:
        raise InvalidInput(f"{terms.kind!r} is no kind of booking ({', '.join(BookingKind.values)})", field="kind")
    kind = BookingKind(terms.kind)
    currency = terms.currency or (portfolio.base_currency if "amount" in _MUST[kind] else "")
    must, may = _MUST[kind], _MAY.get(kind, ("fx_rate",))
    for name in ("amount", "fx_rate", "rate", "to_currency", "to_portfolio_id", "to_book", "symbol", "quantity", "cost", "acquired_at", "lots"):
        given = getattr(terms, name) not in (None, "", {})
        if given and name not in (*must, *may):
            raise InvalidInput(f"a booking of the kind {kind} has no {name}", field=name)
        if not given and name in must:
            raise InvalidInput(f"a booking of the kind {kind} names its {name}", field=name)
    to_book = None
    if kind in (BookingKind.CASH_TRANSFER, BookingKind.SHARE_TRANSFER):
        taker = portfolio_get(user=user, portfolio_id=terms.to_portfolio_id or portfolio.pk)
        to_book = _book(taker, terms.to_book or MAIN_BOOK, "to_book")
    return BookingRequest(
        portfolio=portfolio,
        book=_book(portfolio, terms.book, "book"),
        kind=kind,
        to_book=to_book,
        instrument=instrument_get(terms.symbol) if terms.symbol else None,
        currency=currency,
        lots=[[lot_id, f"{part:f}"] for lot_id, part in terms.lots.items()],
        **{name: getattr(terms, name) for name in ("amount", "fx_rate", "rate", "to_currency", "quantity", "cost", "acquired_at")},
    )


def _book(portfolio: Portfolio, name: str, where: str) -> Book:
    book = Book.objects.select_related("portfolio").filter(portfolio=portfolio, name=name).first()
    if book is None:
        raise NotFound(f"{portfolio.name} has no book {name!r}", field=where)
    return book


def _may_decide(request: BookingRequest, user: "User", at: datetime) -> None:
    """They are two, and the second has nothing to gain. A superuser has every permission but is still one person."""
    if user.pk == request.requested_by_id:
        _refuse(request, user, "a booking is made by two different people", at)
    if not user.is_active or not user.has_perm(APPROVE):
        _refuse(request, user, f"{user} may not decide about bookings", at)
    if holds_trading_role(user=user, portfolio_ids=request.portfolio_ids):
        _refuse(request, user, f"{user} trades in the portfolio: nobody decides about money of their own", at)


def _refuse(request: BookingRequest, user: "User", why: str, at: datetime) -> NoReturn:
    """The attempt is a fact that stays: in its own transaction, before the error rolls the rest back."""
    with transaction.atomic():
        _tell(request, "BOOKING_REFUSED", f"{user} may not decide about {request.terms}", why, at, key=f"booking:{request.pk}:refused:{user.pk}")
    raise NotPermitted(why, field="decided_by")


def _decided(booking_id: int, state: BookingState, user: "User", note: str, at: datetime) -> BookingRequest:
    requests = BookingRequest.objects.select_for_update(of=("self",)).select_related("portfolio", "to_book__portfolio", "instrument")
    request = requests.get(pk=booking_id)
    if request.state != BookingState.PENDING:
        raise Conflict(f"the booking is {request.state} already")
    if at >= request.expires_at and state is not BookingState.WITHDRAWN:
        raise Conflict(f"the request expired at {request.expires_at:%Y-%m-%d %H:%M} UTC: ask again")
    request.state, request.decided_by, request.decided_at, request.note = state, user, at, note
    request.save(update_fields=["state", "decided_by", "decided_at", "note"])
    return request


def _tell(request: BookingRequest, code: str, title: str, detail: str, at: datetime, *, key: str = "") -> None:
    members = {member for portfolio_id in request.portfolio_ids for member in portfolio_members(portfolio_id)}
    deciders = get_user_model().objects.with_perm(APPROVE, include_superusers=False, backend="django.contrib.auth.backends.ModelBackend")
    alert_raise(
        code=code,
        severity="info" if code == "BOOKING_POSTED" else "warning",
        title=title[:200],
        detail=detail,
        subject=f"portfolio:{request.portfolio_id}",
        key=key,
        data={"booking": request.pk, "kind": str(request.kind), "state": str(request.state)},
        recipients=members | set(deciders.values_list("id", flat=True)),
        occurred_at=at,
        recorded_at=at,
    )
