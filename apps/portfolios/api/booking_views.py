"""Endpoints of bookings by hand: ask, decide, take back. A portfolio of others is 404."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.fields import DecimalString, ZonedTime
from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.idempotency import IdempotentMixin, idempotent
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.clock import now
from apps.core.errors import NotFound
from apps.core.money import MONEY_DIGITS, MONEY_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.models import BookingKind, BookingRequest
from apps.portfolios.models.ledger import FX_DIGITS, FX_PLACES
from apps.portfolios.selectors.bookings import bookings_of
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.portfolios.services.bookings import BookingTerms, booking_decide, booking_request, booking_withdraw

_MONEY = {"max_digits": MONEY_DIGITS, "decimal_places": MONEY_PLACES, "required": False}
_RATE = {"max_digits": FX_DIGITS, "decimal_places": FX_PLACES, "required": False}
_QUANTITY = {"max_digits": QUANTITY_DIGITS, "decimal_places": QUANTITY_PLACES}


class BookingSerializer(serializers.ModelSerializer):
    """A booking that somebody asks for, and what became of it."""

    kind: serializers.Field = serializers.CharField()
    state: serializers.Field = serializers.CharField()
    book: serializers.Field = serializers.CharField(source="book.name")
    to_portfolio_id: serializers.Field = serializers.IntegerField(source="to_book.portfolio_id", default=None, allow_null=True)
    to_book: serializers.Field = serializers.CharField(source="to_book.name", default=None, allow_null=True)
    symbol = serializers.CharField(source="instrument.symbol", default="", allow_blank=True)
    lots = serializers.ListField(child=serializers.ListField(), help_text="Named lots: [lot id, quantity]")
    requested_by: serializers.Field = serializers.StringRelatedField()
    decided_by: serializers.Field = serializers.StringRelatedField()

    class Meta:
        model = BookingRequest
        fields = (
            "id", "portfolio_id", "book", "kind", "amount", "currency", "fx_rate", "rate", "to_currency", "to_portfolio_id", "to_book", "symbol",
            "quantity", "cost", "acquired_at", "lots", "reason", "state", "requested_by", "requested_at", "expires_at", "decided_by", "decided_at",
            "note",
        )  # fmt: skip


class NamedLotSerializer(StrictSerializer):
    """A lot and how much of it, signed like the lot."""

    lot = serializers.IntegerField(min_value=1)
    quantity = DecimalString(**_QUANTITY)


class BookingTermsSerializer(StrictSerializer):
    """What each kind needs: an amount for cash; a rate and to_currency for a conversion; symbol and quantity for shares; cost and acquired_at
    for those that come in; to_portfolio_id for a transfer of cash."""

    kind = serializers.ChoiceField(choices=BookingKind.choices)
    book = serializers.CharField(max_length=100, default="main")
    amount = DecimalString(**_MONEY, help_text="Positive; negative for interest that is paid")
    currency = serializers.CharField(max_length=3, required=False, help_text="The portfolio's when left out")
    fx_rate = DecimalString(**_RATE, help_text="The portfolio's currency for one of `currency`, where they differ")
    rate = DecimalString(**_RATE, help_text="Of a conversion: to_currency for one of `currency`")
    to_currency = serializers.CharField(max_length=3, required=False)
    to_portfolio_id = serializers.IntegerField(min_value=1, required=False)
    to_book = serializers.CharField(max_length=100, required=False)
    symbol = serializers.CharField(max_length=20, required=False)
    quantity = DecimalString(**_QUANTITY, required=False, help_text="Signed like the position")
    cost = DecimalString(**_MONEY, help_text="What was paid for all of the shares, in the portfolio's currency, signed like the quantity")
    acquired_at = ZonedTime(required=False)
    lots = NamedLotSerializer(many=True, required=False, help_text="Lots that leave; by the portfolio's method when left out")
    reason = serializers.CharField(max_length=500)


class BookingDecisionSerializer(StrictSerializer):
    """The second person's word; a rejection says why."""

    approve = serializers.BooleanField()
    note = serializers.CharField(max_length=500, default="", allow_blank=True)


class PortfolioBookings(GenericAPIView):
    """Bookings by hand of a portfolio."""

    queryset = BookingRequest.objects.none()
    serializer_class = BookingSerializer
    filter_backends = ()

    @extend_schema(responses=BookingSerializer(many=True))
    def get(self, request: Request, portfolio_id: int) -> Response:
        """Requests in which the portfolio gives or takes, newest first."""
        refuse_unknown_parameters(request, {"cursor", "limit"})
        portfolio = portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        rows = self.paginate_queryset(bookings_of(portfolio.pk)) or []
        return self.get_paginated_response(BookingSerializer(rows, many=True).data)

    @extend_schema(request=BookingTermsSerializer, responses={201: BookingSerializer}, operation_id="portfolios_booking_request")
    @idempotent
    def post(self, request: Request, portfolio_id: int) -> Response:
        """Ask for a booking; another person has a day to approve. A manager's right, with the permission portfolios.add_bookingrequest."""
        refuse_unknown_parameters(request, set())
        data = _validated(BookingTermsSerializer, request)
        reason, lots, at = data.pop("reason"), data.pop("lots", ()), now()
        terms = BookingTerms(**data, lots={one["lot"]: one["quantity"] for one in lots})
        booking = booking_request(
            portfolio_id=portfolio_id, terms=terms, reason=reason, user=desk_user(request), at=at, market_time=market_clock(at).market_time
        )
        return Response(BookingSerializer(booking).data, status=201, headers={"Location": request.path})


class BookingDecide(IdempotentMixin, APIView):
    """The second person's word on a booking."""

    @extend_schema(request=BookingDecisionSerializer, responses=BookingSerializer, operation_id="portfolios_booking_decide")
    def post(self, request: Request, portfolio_id: int, booking_id: int) -> Response:
        """Approve or reject another person's request; what is approved is posted. Needs the permission portfolios.approve_bookingrequest."""
        refuse_unknown_parameters(request, set())
        data, at = _validated(BookingDecisionSerializer, request), now()
        found = _of_portfolio(portfolio_id, booking_id)
        booking = booking_decide(booking_id=found, user=desk_user(request), at=at, market_time=market_clock(at).market_time, **data)
        return Response(BookingSerializer(booking).data)


class BookingWithdraw(IdempotentMixin, APIView):
    """Taking back a booking that was asked for."""

    @extend_schema(request=None, responses=BookingSerializer, operation_id="portfolios_booking_withdraw")
    def post(self, request: Request, portfolio_id: int, booking_id: int) -> Response:
        """Take back one's own request."""
        refuse_unknown_parameters(request, set())
        booking = booking_withdraw(booking_id=_of_portfolio(portfolio_id, booking_id), user=desk_user(request), at=now())
        return Response(BookingSerializer(booking).data)


def _of_portfolio(portfolio_id: int, booking_id: int) -> int:
    if not bookings_of(portfolio_id).filter(pk=booking_id).exists():
        raise NotFound(f"no booking {booking_id} in portfolio {portfolio_id}")
    return booking_id


def _validated(serializer: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    form = serializer(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)
