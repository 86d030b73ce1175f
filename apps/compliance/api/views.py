"""REST of compliance: the restricted and watch list."""

from django.db.models import Q, QuerySet
from rest_framework import mixins, serializers, viewsets

from apps.compliance.models import Restriction
from apps.compliance.selectors.restrictions import restrictions_active
from apps.core import clock
from apps.core.api.filters import StrictFilterBackend
from apps.core.api.permissions import HasPermission
from apps.core.api.users import desk_user
from apps.portfolios.selectors.portfolios import portfolios_visible


class RestrictionSerializer(serializers.ModelSerializer):
    """An entry in force. `portfolio` null means all portfolios."""

    symbol = serializers.CharField(source="instrument.symbol", read_only=True)

    class Meta:
        model = Restriction
        fields = ("id", "instrument", "symbol", "portfolio", "level", "reason", "active_from", "active_to")


class RestrictionViewSet(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Restrictions in force. Needs compliance.view_restriction: reasons may be inside information."""

    serializer_class = RestrictionSerializer
    permission_classes = [HasPermission("compliance.view_restriction")]
    filter_backends = [StrictFilterBackend]
    filterset_fields = ["instrument", "portfolio", "level"]
    queryset = Restriction.objects.none()

    def get_queryset(self) -> "QuerySet[Restriction]":
        """Those for all portfolios, and those for portfolios that the user sees."""
        seen = Q(portfolio__isnull=True) | Q(portfolio__in=portfolios_visible(desk_user(self.request)))
        return restrictions_active(clock.now()).filter(seen).select_related("instrument")
