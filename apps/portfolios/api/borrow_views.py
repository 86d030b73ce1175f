"""Endpoint of what borrowed shares cost."""

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.fields import DecimalString
from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.idempotency import idempotent
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.clock import now
from apps.portfolios.models import BorrowRate
from apps.portfolios.selectors.borrow import borrow_rates
from apps.portfolios.selectors.portfolios import portfolios_visible
from apps.portfolios.services.borrow import borrow_rate_set


class BorrowRateSerializer(serializers.ModelSerializer):
    """A rate: a fraction a year, from a session on; without portfolio it holds for all that have none of their own."""

    symbol = serializers.CharField(source="instrument.symbol")
    portfolio_id: serializers.Field = serializers.IntegerField(allow_null=True)
    created_by: serializers.Field = serializers.StringRelatedField()

    class Meta:
        model = BorrowRate
        fields = ("id", "symbol", "portfolio_id", "annual_rate", "from_session", "reason", "created_by", "recorded_at")


class NewBorrowRateSerializer(StrictSerializer):
    """A rate as it is entered."""

    symbol = serializers.CharField(max_length=20)
    portfolio_id = serializers.IntegerField(min_value=1, required=False, allow_null=True, default=None)
    annual_rate = DecimalString(max_digits=9, decimal_places=6, help_text="A fraction a year: 0.03 is 3 %")
    from_session = serializers.DateField()
    reason = serializers.CharField(max_length=200)


class BorrowRates(GenericAPIView):
    """What borrowed shares cost."""

    queryset = BorrowRate.objects.none()
    serializer_class = BorrowRateSerializer
    filter_backends = ()

    @extend_schema(operation_id="borrow_rates_list", responses=BorrowRateSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Rates of the desk and of the portfolios that the user sees, the newest first."""
        refuse_unknown_parameters(request, {"cursor", "limit"})
        seen = Q(portfolio__isnull=True) | Q(portfolio__in=portfolios_visible(desk_user(request)))
        rows = self.paginate_queryset(borrow_rates().filter(seen)) or []
        return self.get_paginated_response(BorrowRateSerializer(rows, many=True).data)

    @extend_schema(operation_id="borrow_rates_set", request=NewBorrowRateSerializer, responses={201: BorrowRateSerializer})
    @idempotent
    def post(self, request: Request) -> Response:
        """Enter a rate. Needs the permission portfolios.add_borrowrate."""
        refuse_unknown_parameters(request, set())
        given = NewBorrowRateSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        rate = borrow_rate_set(**given.validated_data, user=desk_user(request), at=now())
        return Response(BorrowRateSerializer(rate).data, status=201, headers={"Location": request.path})
