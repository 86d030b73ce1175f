"""REST of a person's own routes, and of what went out by them."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.alerts.models import AlertDelivery, AlertRoute, Channel, DeliveryState, Severity
from apps.alerts.selectors.routes import deliveries_of, route_get, routes_of
from apps.alerts.services.delivery import delivery_retry
from apps.alerts.services.routes import route_change, route_create, route_end, route_secret_renew, route_test
from apps.alerts.services.webhooks import webhook_secret
from apps.core.api.filters import StrictFilterBackend, refuse_unknown_parameters
from apps.core.api.pagination import RecordedOrder
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.clock import now


class RouteChangeSerializer(StrictSerializer):
    """What to change; what is left out stays."""

    target = serializers.CharField(max_length=500, required=False, help_text="An e-mail address, or a webhook's https URL")
    minimum = serializers.ChoiceField(choices=Severity.choices, required=False, help_text="Least severity")
    kinds = serializers.ListField(child=serializers.CharField(max_length=60), max_length=50, required=False, help_text="Beginnings of codes")
    portfolios = serializers.ListField(child=serializers.IntegerField(min_value=1), max_length=200, required=False)
    quiet_from = serializers.TimeField(required=False, allow_null=True, help_text="Quiet hours; critical alerts pass")
    quiet_to = serializers.TimeField(required=False, allow_null=True)
    time_zone = serializers.CharField(max_length=60, required=False, help_text="IANA name")
    digest_minutes = serializers.IntegerField(min_value=0, max_value=1440, required=False, help_text="0: each alert at once")


class NewRouteSerializer(RouteChangeSerializer):
    """A route to make."""

    channel = serializers.ChoiceField(choices=Channel.choices)
    target = serializers.CharField(max_length=500, help_text="An e-mail address, or a webhook's https URL")


class RouteSerializer(serializers.ModelSerializer):
    """A route in use. `secret` signs a webhook; only its owner sees it."""

    secret = serializers.SerializerMethodField()

    class Meta:
        model = AlertRoute
        fields = (
            *("id", "channel", "target", "minimum", "kinds", "portfolios", "quiet_from", "quiet_to"),
            *("time_zone", "digest_minutes", "secret", "created_at"),
        )

    def get_secret(self, route: AlertRoute) -> str | None:
        """The secret, None for an e-mail."""
        return webhook_secret(route) if route.channel == Channel.WEBHOOK else None


class AttemptSerializer(serializers.Serializer):
    """One attempt. A number that is missing belongs to a process that died during its attempt."""

    number = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField()
    outcome = serializers.CharField()
    status = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField()


class DeliverySerializer(serializers.Serializer):
    """One message by one route, with its attempts. `due_at` says when the next attempt is made while it is under way."""

    id = serializers.IntegerField()
    key = serializers.UUIDField(help_text="The same in each attempt: Idempotency-Key")
    route = serializers.IntegerField(source="route_id")
    channel = serializers.ChoiceField(source="route.channel", choices=Channel.choices)
    target = serializers.CharField(source="route.target")
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    alerts = serializers.SerializerMethodField()
    due_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    detail = serializers.CharField()
    attempts = AttemptSerializer(source="tries", many=True)

    def get_alerts(self, delivery: AlertDelivery) -> list[int]:
        """Ids of the alerts in it."""
        return [item.alert_id for item in delivery.items.all()]


class RouteList(APIView):
    """Where the user's alerts go besides the screen."""

    @extend_schema(operation_id="alerts_routes_list", responses=RouteSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The user's routes in use."""
        refuse_unknown_parameters(request, set())
        return Response(RouteSerializer(routes_of(desk_user(request)), many=True).data)

    @extend_schema(operation_id="alerts_routes_create", request=NewRouteSerializer, responses={201: RouteSerializer})
    def post(self, request: Request) -> Response:
        """Make a route."""
        refuse_unknown_parameters(request, set())
        given = NewRouteSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = route_create(user=desk_user(request), at=now(), **given.validated_data)
        return Response(RouteSerializer(made).data, status=status.HTTP_201_CREATED, headers={"Location": f"{request.path.rstrip('/')}/{made.pk}/"})


class RouteDetail(APIView):
    """One route of the user."""

    @extend_schema(operation_id="alerts_routes_retrieve", responses=RouteSerializer)
    def get(self, request: Request, route_id: int) -> Response:
        """The route."""
        refuse_unknown_parameters(request, set())
        return Response(RouteSerializer(route_get(user=desk_user(request), route_id=route_id)).data)

    @extend_schema(operation_id="alerts_routes_change", request=RouteChangeSerializer, responses=RouteSerializer)
    def patch(self, request: Request, route_id: int) -> Response:
        """Change its target or its wishes. The channel stays: another channel is another route."""
        refuse_unknown_parameters(request, set())
        given = RouteChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(RouteSerializer(route_change(user=desk_user(request), route_id=route_id, **given.validated_data)).data)

    @extend_schema(operation_id="alerts_routes_delete", responses={204: None})
    def delete(self, request: Request, route_id: int) -> Response:
        """Remove it: nothing goes out by it any more, what waits included."""
        refuse_unknown_parameters(request, set())
        route_end(user=desk_user(request), route_id=route_id, at=now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class RouteSecret(APIView):
    """The secret of a webhook."""

    @extend_schema(operation_id="alerts_routes_renew_secret", request=None, responses=RouteSerializer)
    def post(self, request: Request, route_id: int) -> Response:
        """Sign by another secret from now on."""
        refuse_unknown_parameters(request, set())
        return Response(RouteSerializer(route_secret_renew(user=desk_user(request), route_id=route_id)).data)


class RouteTest(APIView):
    """Trying a route."""

    @extend_schema(operation_id="alerts_routes_test", request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, route_id: int) -> Response:
        """Send a trial alert by this route, at once. What came of it is told under deliveries."""
        refuse_unknown_parameters(request, set())
        delivery = route_test(user=desk_user(request), route_id=route_id, at=now())
        return Response(DeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED)


class DeliveryFilter(filters.FilterSet):
    state = filters.ChoiceFilter(choices=DeliveryState.choices)
    route = filters.NumberFilter(field_name="route_id")
    alert = filters.NumberFilter(field_name="items__alert_id")

    class Meta:
        model = AlertDelivery
        fields = ("state",)


class DeliveryList(ListAPIView):
    """What went out by the user's routes, or will, newest first."""

    queryset = AlertDelivery.objects.none()
    serializer_class = DeliverySerializer
    pagination_class = RecordedOrder
    filter_backends = (StrictFilterBackend,)
    filterset_class = DeliveryFilter

    def get_queryset(self) -> QuerySet[AlertDelivery]:
        """The user's own; none while the schema is made, which has no user."""
        if getattr(self, "swagger_fake_view", False):
            return AlertDelivery.objects.none()
        return deliveries_of(desk_user(self.request))


class DeliveryRetry(APIView):
    """Trying a dead delivery again."""

    @extend_schema(operation_id="alerts_deliveries_retry", request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, delivery_id: int) -> Response:
        """Try it again at once, under the same key. 409 when it is not dead."""
        refuse_unknown_parameters(request, set())
        delivery: Any = delivery_retry(user=desk_user(request), delivery_id=delivery_id, at=now())
        return Response(DeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED)
