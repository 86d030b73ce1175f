"""REST of universes: which there are, and who was in one on a day."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import refuse_unknown_parameters
from apps.core.clock import now
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.universes import universe_members, universes_known


class UniverseNameSerializer(serializers.Serializer):
    """A universe: `kind` is "imported" (dated members), or "asset_class" (all its instruments that were listed)."""

    name = serializers.CharField()
    kind = serializers.CharField()


class UniverseMemberSerializer(serializers.Serializer):
    """A member: `symbol` as it was called on the day, `instrument` as it is called now."""

    symbol = serializers.CharField()
    instrument = serializers.CharField()


class UniverseMembersSerializer(serializers.Serializer):
    """The members of a universe on a day, in order of symbol."""

    name = serializers.CharField()
    on = serializers.DateField()
    members = UniverseMemberSerializer(many=True)


class DayQuery(serializers.Serializer):
    """Query parameters."""

    on = serializers.DateField(required=False, help_text="the market's day where it is left out")


class UniverseList(APIView):
    """All universes."""

    @extend_schema(operation_id="universes_list", responses=UniverseNameSerializer(many=True), tags=["market data"])
    def get(self, request: Request) -> Response:
        """Imported ones by name, then the asset classes."""
        refuse_unknown_parameters(request, set())
        return Response([{"name": one.name, "kind": one.kind} for one in universes_known()])


class UniverseDetail(APIView):
    """One universe on a day."""

    @extend_schema(
        operation_id="universes_retrieve",
        parameters=[OpenApiParameter("name", str, OpenApiParameter.PATH), DayQuery],
        responses=UniverseMembersSerializer,
        tags=["market data"],
    )
    def get(self, request: Request, name: str) -> Response:
        """Members on the day, those that left or were delisted later among them. A name that is none is 404."""
        refuse_unknown_parameters(request, {"on"})
        query = DayQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        on = query.validated_data.get("on") or market_clock(now()).market_time.date()
        members = [{"symbol": one.symbol, "instrument": one.current} for one in universe_members(name, on=on)]
        return Response(UniverseMembersSerializer({"name": name, "on": on, "members": members}).data)
