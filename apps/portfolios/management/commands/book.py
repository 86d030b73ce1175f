"""manage.py book: money and shares booked by hand, by two people.

Without --approved-by the booking waits a day for a second person, on the portfolio's page or by REST. Refusals end with exit code 4.

Examples: manage.py book deposit --portfolio Alpha --amount 50000 --reason "Capital call" --user trader --approved-by risk;
manage.py book conversion --portfolio Alpha --amount 1100 --rate 0.9 --to-currency EUR --reason "For SAP" --user trader;
manage.py book shares_out --portfolio Alpha --symbol AAPL --quantity 10 --lot 31=10 --reason "Gift" --user trader --dry-run
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import DeskError, InvalidInput, NotFound
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.forms import plain_number
from apps.portfolios.models import BookingKind
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.portfolios.services.bookings import BookingTerms, booking_decide, booking_request, booking_withdraw

if TYPE_CHECKING:
    from apps.core.models import User

_NUMBERS = ("amount", "fx_rate", "rate", "quantity", "cost")
_WORDS = ("kind", "book", "currency", "to_currency", "to_book", "symbol")


class Command(DeskCommand):
    """Ask for a booking, and post it when the second person is at hand."""

    help = __doc__ or ""
    offers_dry_run = True

    def add_options(self, parser: CommandParser) -> None:
        """The terms, and the people."""
        parser.add_argument("kind", choices=BookingKind.values)
        parser.add_argument("--portfolio", metavar="NAME", required=True)
        parser.add_argument("--book", metavar="NAME", default="main")
        parser.add_argument("--amount", help="positive; negative for interest that is paid")
        parser.add_argument("--currency", default="", help="of the amount; the portfolio's without it")
        parser.add_argument("--fx-rate", help="the portfolio's currency for one of the amount's, where they differ")
        parser.add_argument("--rate", help="of a conversion: the bought currency for one of the sold")
        parser.add_argument("--to-currency", default="", help="of a conversion")
        parser.add_argument("--to-portfolio", metavar="NAME", help="of a transfer")
        parser.add_argument("--to-book", metavar="NAME", default="", help="of a transfer")
        parser.add_argument("--symbol", default="")
        parser.add_argument("--quantity", help="of shares, signed like the position")
        parser.add_argument("--cost", help="of shares from outside, what was paid for all of them")
        parser.add_argument("--acquired-at", metavar="TIME", help="of shares from outside, ISO 8601; UTC where it names no zone")
        parser.add_argument("--lot", metavar="LOT=QUANTITY", action="append", default=[], help="a lot that leaves; may be repeated")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--user", metavar="NAME", required=True, help="who asks")
        parser.add_argument("--approved-by", metavar="NAME", help="who agrees; another person")

    def run(self, **options: Any) -> CommandResult:
        """Ask, and decide when both are there; or be refused."""
        at = clock.now()
        market_time = market_clock(at).market_time
        approver = _user(options["approved_by"], "approved_by") if options["approved_by"] else None
        booking = booking_request(
            portfolio_id=portfolio_by_name(options["portfolio"]).pk, terms=_terms(options), reason=options["reason"],
            user=_user(options["user"], "user"), at=at, market_time=market_time, tell=approver is None,
        )  # fmt: skip
        if approver is not None:
            try:
                booking = booking_decide(booking_id=booking.pk, user=approver, approve=True, at=at, market_time=market_time)
            except DeskError:
                booking_withdraw(booking_id=booking.pk, user=booking.requested_by, at=at)  # asked for by this call alone: nobody decides later
                raise
        data = {"id": booking.pk, "portfolio": booking.portfolio.name, "terms": booking.terms, "state": str(booking.state)}
        return CommandResult(data=data, text=f"Booking {booking.pk}, {booking.terms}: {booking.state}.")


def _terms(options: dict[str, Any]) -> BookingTerms:
    to, acquired_at = options["to_portfolio"], options["acquired_at"]
    words: dict[str, Any] = {name: options[name] for name in _WORDS}
    numbers: dict[str, Any] = {name: plain_number(options[name], field=name) for name in _NUMBERS if options[name] is not None}
    return BookingTerms(
        **words,
        **numbers,
        to_portfolio_id=portfolio_by_name(to).pk if to else None,
        acquired_at=_moment(acquired_at) if acquired_at else None,
        lots=dict(map(_lot, options["lot"])),
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no time", field="acquired_at") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lot(text: str) -> tuple[int, Decimal]:
    lot, _, quantity = text.partition("=")
    if not lot.isdecimal():
        raise InvalidInput(f"{text!r} is no lot and quantity, like 31=10", field="lot")
    return int(lot), plain_number(quantity, field="lot")


def _user(username: str, field: str) -> "User":
    user = get_user_model().objects.filter(username=username).first()
    if user is None:
        raise NotFound(f"no user {username!r}", field=field)
    return user
