"""REST of watchlists: the user's own and those that others share."""

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
from apps.marketdata.models import Watchlist
from apps.marketdata.selectors.watchlists import watched_instruments, watchlist_get, watchlists_visible
from apps.marketdata.services.watchlists import watchlist_change, watchlist_create, watchlist_delete


class NewWatchlistSerializer(StrictSerializer):
    """A list to make."""

    name = serializers.CharField(max_length=60)
    shared = serializers.BooleanField(default=False)
    symbols = serializers.ListField(child=serializers.CharField(max_length=20), max_length=200, default=list, help_text="in order")


class WatchlistChangeSerializer(StrictSerializer):
    """What to change; what is left out stays. `symbols` are all instruments in their new order."""

    name = serializers.CharField(max_length=60, required=False)
    shared = serializers.BooleanField(required=False)
    symbols = serializers.ListField(child=serializers.CharField(max_length=20), max_length=200, required=False)


class WatchlistSerializer(serializers.Serializer):
    """A list with its instruments in order. `own`: this user may change it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    owner = serializers.CharField()
    own = serializers.BooleanField()
    shared = serializers.BooleanField()
    symbols = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


def _row(watchlist: Watchlist, request: Request) -> dict[str, Any]:
    return dict(
        WatchlistSerializer(
            {
                "id": watchlist.pk,
                "name": watchlist.name,
                "owner": watchlist.owner.get_username(),
                "own": watchlist.owner_id == desk_user(request).pk,
                "shared": watchlist.shared,
                "symbols": [item.symbol for item in watched_instruments(watchlist)],
                "created_at": watchlist.created_at,
            }
        ).data
    )


class WatchlistList(APIView):
    """Own and shared watchlists."""

    @extend_schema(operation_id="watchlists_list", responses=WatchlistSerializer(many=True), tags=["market data"])
    def get(self, request: Request) -> Response:
        """Own lists first, each group by name."""
        refuse_unknown_parameters(request, set())
        return Response([_row(one, request) for one in watchlists_visible(desk_user(request))])

    @extend_schema(operation_id="watchlists_create", request=NewWatchlistSerializer, responses={201: WatchlistSerializer}, tags=["market data"])
    def post(self, request: Request) -> Response:
        """Make a list. Names are unique per owner, so a repeat is answered 409 and makes nothing."""
        refuse_unknown_parameters(request, set())
        given = NewWatchlistSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = watchlist_create(owner=desk_user(request), at=now(), **given.validated_data)
        return Response(_row(made, request), status=status.HTTP_201_CREATED, headers={"Location": f"{request.path}{made.pk}/"})


class WatchlistDetail(APIView):
    """One watchlist. A list of others that is not shared is 404; a shared one refuses changes with 403."""

    @extend_schema(operation_id="watchlists_retrieve", responses=WatchlistSerializer, tags=["market data"])
    def get(self, request: Request, watchlist_id: int) -> Response:
        """The list."""
        refuse_unknown_parameters(request, set())
        return Response(_row(watchlist_get(user=desk_user(request), watchlist_id=watchlist_id), request))

    @extend_schema(operation_id="watchlists_change", request=WatchlistChangeSerializer, responses=WatchlistSerializer, tags=["market data"])
    def patch(self, request: Request, watchlist_id: int) -> Response:
        """Change name, sharing or instruments."""
        refuse_unknown_parameters(request, set())
        given = WatchlistChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(_row(watchlist_change(user=desk_user(request), watchlist_id=watchlist_id, **given.validated_data), request))

    @extend_schema(operation_id="watchlists_delete", responses={204: None}, tags=["market data"])
    def delete(self, request: Request, watchlist_id: int) -> Response:
        """Delete the list."""
        refuse_unknown_parameters(request, set())
        watchlist_delete(user=desk_user(request), watchlist_id=watchlist_id)
        return Response(status=status.HTTP_204_NO_CONTENT)
