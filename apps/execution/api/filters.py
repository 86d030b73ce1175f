"""Which orders and fills a client asks for."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from apps.core.trading import Side
from apps.execution.domain.states import OrderStatus
from apps.execution.models import Order

STATUSES = [(status.value, status.value) for status in OrderStatus]
SIDES = [(side.value, side.value) for side in Side]


class ChoiceInFilter(filters.BaseInFilter, filters.ChoiceFilter):
    """Several choices, separated by commas."""


class OrderFilter(filters.FilterSet):
    """`working=true` is every order that may still trade."""

    status = filters.ChoiceFilter(choices=STATUSES)
    status__in = ChoiceInFilter(field_name="status", lookup_expr="in", choices=STATUSES)
    working = filters.BooleanFilter(method="of_working")
    symbol = filters.CharFilter(field_name="instrument__symbol")
    portfolio = filters.NumberFilter(field_name="portfolio_id")
    book = filters.CharFilter(field_name="book__name")
    side = filters.ChoiceFilter(choices=SIDES)
    strategy = filters.CharFilter(field_name="strategy")
    client_order_id = filters.UUIDFilter(field_name="client_order_id")
    created_at__gte = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_at__lt = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    def of_working(self, orders: "QuerySet[Order]", _name: str, value: bool) -> "QuerySet[Order]":
        """Working orders, or the others."""
        working = Order.objects.working()
        return orders.filter(pk__in=working) if value else orders.exclude(pk__in=working)


class FillFilter(filters.FilterSet):
    """Fills by what was traded, and when."""

    symbol = filters.CharFilter(field_name="order__instrument__symbol")
    portfolio = filters.NumberFilter(field_name="order__portfolio_id")
    book = filters.CharFilter(field_name="order__book__name")
    order = filters.NumberFilter(field_name="order_id")
    side = filters.ChoiceFilter(field_name="order__side", choices=SIDES)
    strategy = filters.CharFilter(field_name="order__strategy")
    executed_at__gte = filters.IsoDateTimeFilter(field_name="executed_at", lookup_expr="gte")
    executed_at__lt = filters.IsoDateTimeFilter(field_name="executed_at", lookup_expr="lt")
    market_time__gte = filters.IsoDateTimeFilter(field_name="market_time", lookup_expr="gte")
    market_time__lt = filters.IsoDateTimeFilter(field_name="market_time", lookup_expr="lt")
