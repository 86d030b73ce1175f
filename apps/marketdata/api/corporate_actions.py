from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.marketdata.api.serializers import ActionList, ActionQuery
from apps.marketdata.selectors.corporate_actions import actions_of


class InstrumentActions(APIView):
    @extend_schema(
        operation_id="instruments_actions",
        summary="Splits and dividends of one instrument",
        description="The newest revision of each, the latest ex-date first. Only those whose status is applied change prices.",
        parameters=[ActionQuery],
        responses=ActionList,
        tags=["market data"],
    )
    def get(self, request: Request, symbol: str) -> Response:
        """All of them, as the desk knew them at `as_of`."""
        query = ActionQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        found = actions_of(symbol=symbol, as_of=query.validated_data["as_of"])
        return Response(ActionList({"symbol": symbol, "results": found}).data)
