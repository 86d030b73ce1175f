"""REST of limits: how far they are used, changes by two people, and what a change would have done."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core import clock
from apps.core.api.filters import StrictFilterBackend, refuse_unknown_parameters
from apps.core.api.idempotency import idempotent
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.errors import NotFound
from apps.core.trading import Outcome
from apps.marketdata.selectors.instruments import instrument_get
from apps.portfolios.selectors.portfolios import books, portfolio_get
from apps.risk.api.serializers import LimitUseSerializer
from apps.risk.models import LimitChange, LimitUtilisation
from apps.risk.selectors.changes import limit_changes_visible
from apps.risk.selectors.replay import DAYS, limit_replay
from apps.risk.selectors.utilisation import limit_uses_now, utilisation_recorded
from apps.risk.services.limits import limit_change_decide, limit_change_request, limit_change_withdraw

#: Longer than any desk has been there.
MOST_DAYS = 36_500
DAYS_PARAMETER = OpenApiParameter("days", int, description=f"How many days back; {DAYS} when left out")
KIND_PARAMETER = OpenApiParameter("kind", str, required=True, description="A kind of limit")


class LimitChangeSerializer(serializers.ModelSerializer):
    """A change of a limit that somebody asks for, and what became of it. Without `hard` it ends the limit; without `portfolio` it is the desk's."""

    kind: serializers.Field = serializers.CharField()
    book: serializers.Field = serializers.StringRelatedField()
    instrument: serializers.Field = serializers.StringRelatedField()
    sector: serializers.Field = serializers.CharField()
    action: serializers.Field = serializers.CharField()
    state: serializers.Field = serializers.CharField()
    requested_by: serializers.Field = serializers.StringRelatedField()
    decided_by: serializers.Field = serializers.StringRelatedField()

    class Meta:
        model = LimitChange
        fields = (
            "id", "portfolio", "kind", "book", "instrument", "sector", "soft", "hard", "action", "active_from", "active_to", "reason", "state",
            "requested_by", "requested_at", "expires_at", "decided_by", "decided_at", "note",
        )  # fmt: skip


class LimitChangeRequestSerializer(StrictSerializer):
    """`portfolio` left out is the whole desk; `book` (a name), `instrument` (a symbol) and `sector` name a part, one at most."""

    portfolio = serializers.IntegerField(required=False, allow_null=True, min_value=1, default=None)
    kind = serializers.CharField(max_length=20)
    book = serializers.CharField(required=False, default="", allow_blank=True, max_length=100)
    instrument = serializers.CharField(required=False, default="", allow_blank=True, max_length=20)
    sector = serializers.CharField(required=False, default="", allow_blank=True, max_length=30)
    hard = serializers.DecimalField(max_digits=20, decimal_places=6, allow_null=True, help_text="Blocks above; null ends the limit")
    soft = serializers.DecimalField(max_digits=20, decimal_places=6, required=False, allow_null=True, default=None, help_text="Warns above")
    action = serializers.CharField(required=False, default="warn", max_length=7, help_text="What the live monitor does on a breach")
    active_from = serializers.DateTimeField(required=False, allow_null=True, default=None)
    active_to = serializers.DateTimeField(required=False, allow_null=True, default=None)
    reason = serializers.CharField(max_length=500)


class DecideSerializer(StrictSerializer):
    """The second person's word; a rejection says why."""

    approve = serializers.BooleanField()
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)


class ReplayedOrderSerializer(serializers.Serializer):
    """One judged order; `outcome` is what the change says of it, null where the gate has kept no number of this kind."""

    order_id = serializers.IntegerField(source="order.order_id")
    portfolio = serializers.IntegerField(source="order.portfolio_id")
    symbol = serializers.CharField(source="order.symbol")
    decided_at = serializers.DateTimeField(source="order.decided_at")
    before = serializers.DecimalField(source="order.check.before", max_digits=40, decimal_places=12, allow_null=True, default=None)
    after = serializers.DecimalField(source="order.check.after", max_digits=40, decimal_places=12, allow_null=True, default=None)
    outcome = serializers.CharField(allow_null=True)
    newly = serializers.BooleanField(help_text="It would be blocked now and was not blocked by this check then")


class ReplaySerializer(serializers.Serializer):
    """What the change would have done to the orders of the last days; `replayable` is false for kinds that no order has a number of."""

    replayable = serializers.BooleanField()
    days = serializers.IntegerField()
    judged = serializers.IntegerField()
    blocked = serializers.IntegerField()
    newly_blocked = serializers.IntegerField()
    warned = serializers.IntegerField()
    passed = serializers.IntegerField()
    unknown = serializers.IntegerField()
    orders = ReplayedOrderSerializer(many=True, help_text="Those that would be blocked, newest first, 500 at most")


class UtilisationSerializer(serializers.ModelSerializer):
    """How far a limit was used at a moment."""

    scope: serializers.Field = serializers.CharField()
    state: serializers.Field = serializers.CharField()

    class Meta:
        model = LimitUtilisation
        fields = ("recorded_at", "scope", "subject", "soft", "hard", "used", "share", "state")


class PortfolioLimitsView(APIView):
    """Every limit of a portfolio and of its parts."""

    @extend_schema(responses=LimitUseSerializer(many=True), operation_id="portfolio_limits_list")
    def get(self, request: Request, portfolio_id: int) -> Response:
        """How far each is used at the latest prices; what cannot be computed stands first and is never OK."""
        refuse_unknown_parameters(request, set())
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        return Response(LimitUseSerializer(limit_uses_now(portfolio_id=portfolio_id, now=clock.now()), many=True).data)


class PortfolioLimitHistoryView(APIView):
    """How far a kind of limit was used."""

    @extend_schema(parameters=[KIND_PARAMETER, DAYS_PARAMETER], responses=UtilisationSerializer(many=True), operation_id="portfolio_limit_history")
    def get(self, request: Request, portfolio_id: int) -> Response:
        """As it was recorded every five minutes, oldest first."""
        refuse_unknown_parameters(request, {"kind", "days"})
        portfolio_get(user=desk_user(request), portfolio_id=portfolio_id)
        since = clock.now() - timedelta(days=_days(request))
        found = utilisation_recorded(portfolio_id=portfolio_id, kind=request.query_params.get("kind", ""), since=since)
        return Response(UtilisationSerializer(found, many=True).data)


class LimitChangeViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Changes of limits: of the desk, and of the portfolios that the user sees."""

    serializer_class = LimitChangeSerializer
    filter_backends = [StrictFilterBackend]
    filterset_fields = ["portfolio", "kind", "state"]
    queryset = LimitChange.objects.none()

    def get_queryset(self) -> "QuerySet[LimitChange]":
        """Changes of others' portfolios do not exist for this user."""
        return limit_changes_visible(desk_user(self.request))

    @extend_schema(request=LimitChangeRequestSerializer, responses={201: LimitChangeSerializer}, operation_id="limit_change_create")
    @idempotent
    def create(self, request: Request) -> Response:
        """Ask for a limit, another level or the end of one. Another person has a day to approve. Needs the permission risk.add_limitchange."""
        data = _validated(LimitChangeRequestSerializer, request)
        book, symbol, portfolio = data.pop("book"), data.pop("instrument"), data.pop("portfolio")
        change = limit_change_request(
            **data,
            portfolio_id=portfolio,
            book_id=_book(portfolio, book),
            instrument_id=instrument_get(symbol).pk if symbol else None,
            user=desk_user(request),
            at=clock.now(),
        )
        return Response(LimitChangeSerializer(change).data, status=201)

    @extend_schema(parameters=[DAYS_PARAMETER], responses=ReplaySerializer, operation_id="limit_change_replay")
    def replay(self, request: Request, pk: int) -> Response:
        """What the change would have done to the orders of the last days, by their stored numbers."""
        refuse_unknown_parameters(request, {"days"})
        days = _days(request)
        found = limit_replay(get_object_or_404(self.get_queryset(), pk=pk), now=clock.now(), days=days)
        orders = () if found is None else found.orders
        counts = {name: 0 if found is None else found.count(outcome) for name, outcome in _COUNTED}
        body = {"replayable": found is not None, "days": days, "judged": len(orders), **counts}
        blocked = () if found is None else found.blocked
        return Response(ReplaySerializer(body | {"newly_blocked": sum(one.newly for one in blocked), "orders": blocked[:500]}).data)

    @extend_schema(request=DecideSerializer, responses=LimitChangeSerializer, operation_id="limit_change_decide")
    @idempotent
    def decide(self, request: Request, pk: int) -> Response:
        """Approve or reject another person's request. Needs the permission risk.approve_limitchange."""
        data = _validated(DecideSerializer, request)
        change = limit_change_decide(change_id=self.get_object().pk, user=desk_user(request), at=clock.now(), **data)
        return Response(LimitChangeSerializer(change).data)

    @extend_schema(request=None, responses=LimitChangeSerializer, operation_id="limit_change_withdraw")
    @idempotent
    def withdraw(self, request: Request, pk: int) -> Response:
        """Take back one's own request."""
        change = limit_change_withdraw(change_id=self.get_object().pk, user=desk_user(request), at=clock.now())
        return Response(LimitChangeSerializer(change).data)


_COUNTED = (("blocked", Outcome.BLOCK), ("warned", Outcome.WARN), ("passed", Outcome.PASS), ("unknown", None))


def _book(portfolio_id: int | None, name: str) -> int | None:
    if not name:
        return None
    found = {} if portfolio_id is None else books(portfolio_id)
    if name not in found:
        raise NotFound(f"there is no book {name!r} in the portfolio", field="book")
    return found[name]


def _days(request: Request) -> int:
    given = request.query_params.get("days", str(DAYS))
    if not given.isdecimal() or int(given) > MOST_DAYS:
        raise ValidationError({"days": [f"A whole number is required, at most {MOST_DAYS:,}."]})
    return int(given)


def _validated(serializer: type, request: Request) -> dict[str, Any]:
    form = serializer(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)
