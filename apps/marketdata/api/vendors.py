from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.permissions import HasPermission
from apps.marketdata.selectors.vendors import vendor_states


class VendorSerializer(serializers.Serializer):
    """A vendor with the state of its breaker."""

    name = serializers.CharField()
    enabled = serializers.BooleanField()
    priority = serializers.IntegerField(help_text='Place in the order of "auto", the lowest first')
    rate = serializers.FloatField(help_text="Requests a second")
    burst = serializers.IntegerField()
    breaker = serializers.ChoiceField(choices=["closed", "open", "half_open", "forced_open", "forced_closed", "unknown"])
    opened_at = serializers.DateTimeField(allow_null=True)
    since = serializers.DateTimeField(allow_null=True, help_text="When the breaker came into this state; null: no change is recorded")
    reason = serializers.CharField(help_text="Of the last decision by hand")
    last_incident = serializers.CharField()
    last_incident_at = serializers.DateTimeField(allow_null=True)


class VendorList(APIView):
    permission_classes = (HasPermission("marketdata.view_vendor"),)

    @extend_schema(
        operation_id="data_vendors_list", summary="Vendors and their breakers", responses=VendorSerializer(many=True), tags=["market data"]
    )
    def get(self, request: Request) -> Response:
        """All vendors in the order of "auto"."""
        refuse_unknown_parameters(request, set())
        return Response(VendorSerializer(vendor_states(), many=True).data)
