"""REST of reconciliation: runs, breaks, and the word of a person on a break."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core import clock
from apps.core.api.filters import StrictFilterBackend
from apps.core.api.idempotency import idempotent
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.execution.models import ReconciliationBreak, ReconciliationRun, ReconciliationState, ReconciliationTrigger
from apps.execution.models.reconciliation import BREAK_KINDS, BREAK_SUBJECTS
from apps.execution.selectors.reconciliation import break_row, breaks_visible, run_row, runs_visible
from apps.execution.services.reconciliation import break_resolve


class ReconciliationRunSerializer(serializers.Serializer):
    """One comparison of an account with its broker's books. `compared` counts what the broker told of."""

    id = serializers.IntegerField()
    account = serializers.CharField()
    portfolio_id = serializers.IntegerField()
    trigger = serializers.ChoiceField(choices=ReconciliationTrigger.choices)
    state = serializers.ChoiceField(choices=ReconciliationState.choices)
    detail = serializers.CharField(allow_blank=True)
    compared = serializers.DictField(child=serializers.IntegerField())
    booked_fills = serializers.IntegerField(help_text="Missed executions that it booked")
    open_breaks = serializers.IntegerField()
    started_at = serializers.DateTimeField()

    def to_representation(self, instance: ReconciliationRun) -> dict[str, Any]:
        """The row of the run."""
        return run_row(instance)


class BreakResolutionSerializer(serializers.Serializer):
    """Who says why a break is no longer open; `by` is null where a later run did not find it any more."""

    by = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    resolved_at = serializers.DateTimeField()


class ReconciliationBreakSerializer(serializers.Serializer):
    """A difference between the two books. `difference` is theirs - ours where both are numbers."""

    id = serializers.IntegerField()
    portfolio_id = serializers.IntegerField()
    account = serializers.CharField()
    kind = serializers.ChoiceField(choices=BREAK_KINDS)
    subject = serializers.ChoiceField(choices=BREAK_SUBJECTS)
    key = serializers.CharField(help_text="The order's reference, the execution id, the symbol or the currency")
    symbol = serializers.CharField(allow_blank=True)
    ours = serializers.CharField(allow_blank=True)
    theirs = serializers.CharField(allow_blank=True)
    difference = serializers.CharField(allow_null=True)
    halts = serializers.BooleanField(help_text="Nothing new is opened in the portfolio while it is open")
    found_at = serializers.DateTimeField()
    resolution = BreakResolutionSerializer(allow_null=True)

    def to_representation(self, instance: ReconciliationBreak) -> dict[str, Any]:
        """The row of the break."""
        return break_row(instance)


class BreakResolveSerializer(StrictSerializer):
    """Why the break may stand."""

    reason = serializers.CharField(max_length=500)


class RunFilter(filters.FilterSet):
    """Which runs."""

    portfolio = filters.NumberFilter(field_name="account__portfolio_id")
    account = filters.CharFilter(field_name="account__number")
    state = filters.ChoiceFilter(choices=ReconciliationState.choices)


class BreakFilter(filters.FilterSet):
    """Which breaks; `open=true` is those that nobody and no run has resolved."""

    portfolio = filters.NumberFilter(field_name="portfolio_id")
    account = filters.CharFilter(field_name="account__number")
    kind = filters.ChoiceFilter(choices=BREAK_KINDS)
    subject = filters.ChoiceFilter(choices=BREAK_SUBJECTS)
    halts = filters.BooleanFilter()
    open = filters.BooleanFilter(field_name="resolution", lookup_expr="isnull")


class ReconciliationRunViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Comparisons of the accounts that the user sees, newest first."""

    serializer_class = ReconciliationRunSerializer
    filter_backends = [StrictFilterBackend]
    filterset_class = RunFilter
    queryset = ReconciliationRun.objects.none()

    def get_queryset(self) -> "QuerySet[ReconciliationRun]":
        """Others' accounts do not exist."""
        return runs_visible(desk_user(self.request))


class ReconciliationBreakViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Breaks of the accounts that the user sees, newest first."""

    serializer_class = ReconciliationBreakSerializer
    filter_backends = [StrictFilterBackend]
    filterset_class = BreakFilter
    lookup_value_regex = "[0-9]{1,18}"
    queryset = ReconciliationBreak.objects.none()

    def get_queryset(self) -> "QuerySet[ReconciliationBreak]":
        """Others' accounts do not exist."""
        return breaks_visible(desk_user(self.request))

    @extend_schema(request=BreakResolveSerializer, responses=ReconciliationBreakSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def resolve(self, request: Request, pk: str) -> Response:
        """Say why a break may stand. It stays resolved while every later comparison finds it unchanged."""
        serializer = BreakResolveSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = desk_user(request)
        break_resolve(break_id=int(pk), user=user, reason=serializer.validated_data["reason"], at=clock.now())
        return Response(break_row(breaks_visible(user).get(pk=int(pk))))
