"""Quotes, trades and depth of one symbol, page by page in time order, and its order book at a moment."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.api.fields import ZonedTime
from apps.core.api.serializers import StrictSerializer
from apps.core.clock import now
from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.marketdata.api.serializers import MomentField
from apps.marketdata.selectors.bars import bounds
from apps.marketdata.selectors.books import MOST_LEVELS, BookView, book_at
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.ticks import DEPTH, QUOTES, TRADES, TickTable, tick_page

LIMIT = 500
MOST_TICKS = 5_000


class TickQuery(StrictSerializer):
    """Which ticks. `start` is inclusive; `end` includes its day when it is a date and is exclusive when it is a time; `cursor` is from `next`."""

    symbol = serializers.CharField(max_length=20)
    start = MomentField()
    end = MomentField(required=False, default=None)
    source = serializers.CharField(max_length=100, required=False, default=None)  # type: ignore[assignment]
    limit = serializers.IntegerField(min_value=1, max_value=MOST_TICKS, default=LIMIT)
    cursor = serializers.RegexField(r"^[0-9]{1,9}$", required=False, default="0", help_text="rows at `start` to leave out")


class QuoteSerializer(serializers.Serializer):
    """Best bid and offer; a side without an order has price 0."""

    ts = serializers.DateTimeField()
    sequence = serializers.IntegerField()
    bid = serializers.FloatField()
    bid_size = serializers.FloatField()
    ask = serializers.FloatField()
    ask_size = serializers.FloatField()


class TradeSerializer(serializers.Serializer):
    """A trade; `aggressor` is 1 when a buyer took liquidity, -1 a seller, 0 unknown."""

    ts = serializers.DateTimeField()
    sequence = serializers.IntegerField()
    price = serializers.FloatField()
    size = serializers.FloatField()
    aggressor = serializers.IntegerField()


class DepthSerializer(serializers.Serializer):
    """A level that changed: `side` is 1 bid, -1 ask; `size` is absolute, 0 removes it; a snapshot's rows replace the book."""

    ts = serializers.DateTimeField()
    sequence = serializers.IntegerField()
    first_sequence = serializers.IntegerField()
    snapshot = serializers.BooleanField()
    side = serializers.IntegerField()
    price = serializers.FloatField()
    size = serializers.FloatField()


class _TickPage(serializers.Serializer):
    symbol = serializers.CharField()
    next = serializers.URLField(allow_null=True)


class QuotePage(_TickPage):
    """Quotes in time order; `next` leads to later ones."""

    results = QuoteSerializer(many=True)


class TradePage(_TickPage):
    """Trades in time order; `next` leads to later ones."""

    results = TradeSerializer(many=True)


class DepthPage(_TickPage):
    """Depth in time order; `next` leads to later rows."""

    results = DepthSerializer(many=True)


class _TickList(APIView):
    table: ClassVar[TickTable[Any]]

    def get(self, request: Request) -> Response:
        """The first `limit` of the range."""
        query = TickQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        start, end = bounds(asked["start"], asked["end"])
        page = tick_page(
            self.table,
            symbol=asked["symbol"],
            start=start,
            end=min(end, market_clock(now()).market_time + timedelta(microseconds=1)),
            limit=asked["limit"],
            skip=int(asked["cursor"]),
            source=asked["source"],
        )
        columns = page.rows.columns()
        times = [f"{moment.isoformat()}Z" for moment in columns.pop("ts").tolist()]
        rows = [dict(zip(("ts", *columns), row, strict=True)) for row in zip(times, *map(plain, columns.values()), strict=True)]
        return Response({"symbol": asked["symbol"], "results": rows, "next": _next(request, page.following)})


def _next(request: Request, following: tuple[datetime, int] | None) -> str | None:
    if following is None:
        return None
    moment, skip = following
    later = request.query_params.dict() | {"start": plain(moment), "cursor": skip}
    return request.build_absolute_uri(f"{request.path}?{urlencode(later)}")


DESCRIPTION = "Never later than the market's time: during a replay what lies in its future is not shown."


class QuoteList(_TickList):
    table = QUOTES

    @extend_schema(
        operation_id="quotes_list",
        summary="Quotes of one symbol",
        description=DESCRIPTION,
        parameters=[TickQuery],
        responses=QuotePage,
        tags=["market data"],
    )
    def get(self, request: Request) -> Response:
        """The first `limit` of the range."""
        return super().get(request)


class TradeList(_TickList):
    table = TRADES

    @extend_schema(
        operation_id="market_trades_list",
        summary="Trades of one symbol on the market's tape",
        description=DESCRIPTION,
        parameters=[TickQuery],
        responses=TradePage,
        tags=["market data"],
    )
    def get(self, request: Request) -> Response:
        """The first `limit` of the range."""
        return super().get(request)


class DepthList(_TickList):
    table = DEPTH

    @extend_schema(
        operation_id="depth_list",
        summary="Depth of one symbol",
        description=DESCRIPTION,
        parameters=[TickQuery],
        responses=DepthPage,
        tags=["market data"],
    )
    def get(self, request: Request) -> Response:
        """The first `limit` of the range."""
        return super().get(request)


class BookQuery(StrictSerializer):
    """When, and how deep. Without `at` the market's time counts."""

    at = ZonedTime(required=False, default=None)
    levels = serializers.IntegerField(min_value=1, max_value=MOST_LEVELS, default=10)
    source = serializers.CharField(max_length=100, required=False, default=None)  # type: ignore[assignment]


class BookLevelSerializer(serializers.Serializer):
    """A price and the size that stands there."""

    price = serializers.FloatField()
    size = serializers.FloatField()


class BookSerializer(serializers.Serializer):
    """A book, the best level first. `kind`: rebuilt from levels or from orders. A DIRTY book may be wrong."""

    symbol = serializers.CharField()
    at = serializers.DateTimeField()
    source = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=["levels", "orders"])
    state = serializers.ChoiceField(choices=["OK", "DIRTY", "CROSSED"])
    faults = serializers.IntegerField()
    updated_at = serializers.DateTimeField()
    bids = BookLevelSerializer(many=True)
    asks = BookLevelSerializer(many=True)


class InstrumentBook(APIView):
    @extend_schema(
        operation_id="instruments_book",
        summary="An instrument's order book at a moment",
        description="Rebuilt from stored depth or order events. 404 when there are none to build it from.",
        parameters=[BookQuery],
        responses=BookSerializer,
        tags=["market data"],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """The best levels of both sides."""
        query = BookQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        latest = market_clock(now()).market_time
        if asked["at"] is not None and asked["at"] > latest:
            raise InvalidInput(f"it is {plain(latest)} in the market: nobody knows that book yet", field="at")
        return Response(_book(book_at(symbol, asked["at"] or latest, asked["levels"], source=asked["source"])))


def _book(book: BookView) -> dict[str, Any]:
    sides = {side: [{"price": price, "size": size} for price, size in getattr(book, side)] for side in ("bids", "asks")}
    return dict(plain(book)) | sides
