"""REST of the screener: run a query, and saved queries."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.filters import refuse_unknown_parameters
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.clock import now
from apps.core.documents import plain
from apps.marketdata.domain.screening import query_parse
from apps.marketdata.models import Screen
from apps.marketdata.selectors.screens import EVERYTHING, screen_get, screen_run, screens_visible
from apps.marketdata.services.screens import screen_change, screen_delete, screen_save

MOST_ROWS = 1_000


class ScreenRunSerializer(StrictSerializer):
    """A query, where to look, and when."""

    query = serializers.CharField(max_length=2_000)
    universe = serializers.CharField(max_length=50, default=EVERYTHING, help_text='"all", "watchlist:<id>", or a universe: its members on the day')
    date = serializers.DateField(required=False, allow_null=True, default=None, help_text="never later than the market's time")


class ScreenMissingSerializer(serializers.Serializer):
    """Instruments that could not be scored, and why."""

    reason = serializers.CharField()
    symbols = serializers.ListField(child=serializers.CharField())


class ScreenRowSerializer(serializers.Serializer):
    """An instrument that matches; `values` by the names in `columns`."""

    symbol = serializers.CharField()
    name = serializers.CharField()
    values = serializers.DictField(child=serializers.FloatField())


class ScreenResultSerializer(serializers.Serializer):
    """What was found. `query` is the query in its one written form; `matched` counts all matches, `results` has the first thousand."""

    query = serializers.CharField()
    date = serializers.DateField()
    universe = serializers.IntegerField()
    scored = serializers.IntegerField()
    matched = serializers.IntegerField()
    columns = serializers.ListField(child=serializers.CharField())
    results = ScreenRowSerializer(many=True)
    missing = ScreenMissingSerializer(many=True)
    facts_of = serializers.DictField(child=serializers.DateField())


class ScreenRunView(APIView):
    """Run a query without saving it."""

    @extend_schema(operation_id="screens_run", request=ScreenRunSerializer, responses=ScreenResultSerializer, tags=["market data"])
    def post(self, request: Request) -> Response:
        """Instruments that match, with coverage. A query that cannot be read is 400, and says the word and its position."""
        refuse_unknown_parameters(request, set())
        given = ScreenRunSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        found = screen_run(query=query_parse(asked["query"]), universe=asked["universe"], user=desk_user(request), now=now(), day=asked["date"])
        body = {
            "query": str(found.query),
            "date": found.day,
            "universe": found.universe,
            "scored": found.scored,
            "matched": len(found.rows),
            "columns": found.columns,
            "results": found.rows[:MOST_ROWS],
            "missing": [{"reason": reason, "symbols": symbols} for reason, symbols in found.missing.items()],
            "facts_of": found.facts_of,
        }
        return Response(plain(body))


class NewScreenSerializer(StrictSerializer):
    """A query to save."""

    name = serializers.CharField(max_length=60)
    query = serializers.CharField(max_length=2_000)
    shared = serializers.BooleanField(default=False)


class ScreenChangeSerializer(StrictSerializer):
    """What to change; what is left out stays."""

    name = serializers.CharField(max_length=60, required=False)
    query = serializers.CharField(max_length=2_000, required=False)
    shared = serializers.BooleanField(required=False)


class ScreenSerializer(serializers.Serializer):
    """A saved query. `own`: this user may change it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    query = serializers.CharField()
    owner = serializers.CharField()
    own = serializers.BooleanField()
    shared = serializers.BooleanField()
    created_at = serializers.DateTimeField()


def _row(screen: Screen, request: Request) -> dict[str, Any]:
    names = ("name", "query", "shared", "created_at")
    own = screen.owner_id == desk_user(request).pk
    values = {name: getattr(screen, name) for name in names}
    return dict(ScreenSerializer({"id": screen.pk, "owner": screen.owner.get_username(), "own": own, **values}).data)


class ScreenList(APIView):
    """Own and shared screens."""

    @extend_schema(operation_id="screens_list", responses=ScreenSerializer(many=True), tags=["market data"])
    def get(self, request: Request) -> Response:
        """Own screens first, each group by name."""
        refuse_unknown_parameters(request, set())
        return Response([_row(one, request) for one in screens_visible(desk_user(request))])

    @extend_schema(operation_id="screens_create", request=NewScreenSerializer, responses={201: ScreenSerializer}, tags=["market data"])
    def post(self, request: Request) -> Response:
        """Save a query. Names are unique per owner, so a repeat is answered 409 and makes nothing."""
        refuse_unknown_parameters(request, set())
        given = NewScreenSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = screen_save(owner=desk_user(request), at=now(), **given.validated_data)
        return Response(_row(made, request), status=status.HTTP_201_CREATED, headers={"Location": f"{request.path}{made.pk}/"})


class ScreenDetail(APIView):
    """One saved screen. One of others that is not shared is 404; a shared one refuses changes with 403."""

    @extend_schema(operation_id="screens_retrieve", responses=ScreenSerializer, tags=["market data"])
    def get(self, request: Request, screen_id: int) -> Response:
        """The screen."""
        refuse_unknown_parameters(request, set())
        return Response(_row(screen_get(user=desk_user(request), screen_id=screen_id), request))

    @extend_schema(operation_id="screens_change", request=ScreenChangeSerializer, responses=ScreenSerializer, tags=["market data"])
    def patch(self, request: Request, screen_id: int) -> Response:
        """Change name, query or sharing."""
        refuse_unknown_parameters(request, set())
        given = ScreenChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(_row(screen_change(user=desk_user(request), screen_id=screen_id, **given.validated_data), request))

    @extend_schema(operation_id="screens_delete", responses={204: None}, tags=["market data"])
    def delete(self, request: Request, screen_id: int) -> Response:
        """Delete the screen."""
        refuse_unknown_parameters(request, set())
        screen_delete(user=desk_user(request), screen_id=screen_id)
        return Response(status=status.HTTP_204_NO_CONTENT)
