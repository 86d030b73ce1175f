from typing import Any
from urllib.parse import urlencode

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core.clock import now
from apps.core.documents import plain
from apps.marketdata.api.serializers import BarPage, BarQuery
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.selectors.bars import visible_until
from apps.marketdata.selectors.resampled import bars_at


class BarList(APIView):
    @extend_schema(
        operation_id="bars_list",
        summary="Bars of one symbol",
        description=(
            "As stored, else made of the finest stored ones. Never later than the market's time: during a replay the bars that lie in its "
            "future are not shown."
        ),
        parameters=[BarQuery],
        responses=BarPage,
        tags=["market data"],
    )
    def get(self, request: Request) -> Response:
        """The newest `limit` bars of the range."""
        query = BarQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        end = visible_until(now(), timeframe=asked["timeframe"], end=asked["end"])
        found = bars_at(
            symbol=asked["symbol"],
            timeframe=asked["timeframe"],
            start=asked["start"],
            end=end,
            last=asked["limit"] + 1,
            adjustment=asked["adjustment"],
            as_of=asked["as_of"],
            adjusted_to=asked["adjusted_to"],
        )
        return Response(_page(request, asked, found))


def _page(request: Request, asked: dict[str, Any], found: BarSeries) -> dict[str, Any]:
    more = len(found) > asked["limit"]
    columns = {name: getattr(found, name)[1 if more else 0 :] for name in ("ts", *FIELDS)}
    times = [f"{moment.isoformat()}Z" for moment in columns.pop("ts").tolist()]
    rows = [dict(zip(("ts", *columns), row, strict=True)) for row in zip(times, *(plain(values) for values in columns.values()), strict=True)]
    adjusted = asked["adjustment"] is not Adjustment.NONE and len(found) > 0
    anchor = (asked["adjusted_to"] or found.ts[-1].item().date()) if adjusted else None
    older = request.query_params.dict() | {"end": times[0]} | ({"adjusted_to": anchor} if anchor else {}) if more else None
    return {
        "symbol": asked["symbol"],
        "timeframe": asked["timeframe"].code,
        "adjustment": asked["adjustment"],
        "adjusted_to": anchor,
        "results": rows,
        "next": request.build_absolute_uri(f"{request.path}?{urlencode(older)}") if older else None,
    }
