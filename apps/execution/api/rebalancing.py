"""REST of proposing and executing rebalances, in the shapes of the desk's first design."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.core import clock
from apps.core.api.fields import DecimalString
from apps.core.api.idempotency import idempotent
from apps.core.api.schema import ProblemSerializer
from apps.core.api.serializers import StrictSerializer
from apps.core.api.users import desk_user
from apps.core.money import MONEY_DIGITS, MONEY_PLACES, QUANTITY_DIGITS, QUANTITY_PLACES
from apps.execution.api.algos import SIDES
from apps.execution.api.serializers import OrderSerializer
from apps.execution.domain.amounts import trimmed
from apps.execution.services.rebalancing import ChosenTrade, Execution, portfolio_rebalance, rebalance_execute
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.api.rebalancing_serializers import REASONS, REBALANCE_STATUSES, ProposalSerializer, RebalanceTradeSerializer
from apps.portfolios.api.serializers import Money, TargetedPositionSerializer
from apps.portfolios.domain.rebalancing import RebalanceStatus
from apps.portfolios.selectors.overviews import portfolio_overview
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.portfolios.selectors.stops import stop_threshold
from apps.portfolios.selectors.targets import plan_weights, target_plan
from apps.portfolios.services.rebalancing import Proposed


class RebalanceSerializer(StrictSerializer):
    """`force` proposes even if no drift is above the threshold."""

    force = serializers.BooleanField(default=False)


class RebalanceAnswerSerializer(serializers.Serializer):
    """What is proposed. Without a proposal `detail` says why there is nothing to do, and everything of it is null."""

    proposal_id = serializers.IntegerField(allow_null=True)
    reason = serializers.ChoiceField(choices=REASONS, allow_null=True)
    detail = serializers.CharField()
    trades = RebalanceTradeSerializer(many=True)
    estimated_cost = Money()
    proposal = ProposalSerializer(allow_null=True)


class ChosenTradeSerializer(serializers.Serializer):
    """A trade as the proposal has it. Its other keys may be there and are not read."""

    ticker = serializers.CharField(max_length=20)
    side = serializers.ChoiceField(choices=SIDES)
    quantity = DecimalString(max_digits=QUANTITY_DIGITS, decimal_places=QUANTITY_PLACES)


class ExecuteRebalanceSerializer(StrictSerializer):
    """What is executed: trades of a proposal, all of them when `trades` is left out; the newest proposal without `proposal_id`."""

    proposal_id = serializers.IntegerField(min_value=1, required=False, default=None, allow_null=True)
    trades = ChosenTradeSerializer(many=True, required=False, default=None, allow_null=True)


class ExecutedTradeSerializer(serializers.Serializer):
    """An order of the proposal as it stands."""

    ticker = serializers.CharField()
    side = serializers.ChoiceField(choices=SIDES)
    quantity = serializers.CharField(help_text="Executed")
    proposed_quantity = serializers.CharField()
    price = serializers.CharField(allow_null=True, help_text="Average; null: nothing has traded")
    status = serializers.CharField(help_text="Of the order")
    order = OrderSerializer()


class ExecuteRebalanceAnswerSerializer(serializers.Serializer):
    """What became of the proposal, denied orders included."""

    proposal_id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=REBALANCE_STATUSES)
    detail = serializers.CharField()
    total_cost = Money()
    executed_trades = ExecutedTradeSerializer(many=True)
    new_positions = TargetedPositionSerializer(many=True)


class PortfolioRebalance(APIView):
    """Recommendations."""

    @extend_schema(
        operation_id="portfolio_rebalance_propose",
        request=RebalanceSerializer,
        responses={201: RebalanceAnswerSerializer, 200: RebalanceAnswerSerializer},
    )
    @idempotent
    def post(self, request: Request, portfolio_id: int) -> Response:
        """Propose what brings the portfolio to its targets. 201 with a stored proposal, 200 where there is nothing to do."""
        given = RebalanceSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        found = portfolio_rebalance(user=desk_user(request), portfolio_id=portfolio_id, force=given.validated_data["force"], at=clock.now())
        return Response(_proposed(found), status=status.HTTP_201_CREATED if found.proposal else status.HTTP_200_OK)


class PortfolioExecuteRebalance(APIView):
    """Execution on paper."""

    @extend_schema(
        operation_id="portfolio_rebalance_execute",
        request=ExecuteRebalanceSerializer,
        responses={
            200: ExecuteRebalanceAnswerSerializer,
            409: OpenApiResponse(ProblemSerializer, "It was executed before, it is being executed, or it is stale: `detail` says why"),
            423: OpenApiResponse(ProblemSerializer, "Trading is halted"),
        },
    )
    @idempotent
    def post(self, request: Request, portfolio_id: int) -> Response:
        """Execute a proposal: sales first, then purchases as far as the cash reaches. Each order passes the gate; a proposal is executed once."""
        given = ExecuteRebalanceSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data, user = given.validated_data, desk_user(request)
        chosen = data["trades"]
        done = rebalance_execute(
            user=user,
            portfolio_id=portfolio_id,
            clock=clock.now,
            proposal_id=data["proposal_id"],
            chosen=None if chosen is None else [ChosenTrade(symbol=t["ticker"], side=t["side"], quantity=t["quantity"]) for t in chosen],
        )
        portfolio, market = portfolio_get(user=user, portfolio_id=portfolio_id), market_clock(clock.now())
        positions = portfolio_overview(portfolio, market=market).valuation.positions
        context = {"targets": plan_weights(target_plan(portfolio_id, market.session)), "stop": stop_threshold(market.market_time)}
        new_positions = TargetedPositionSerializer(positions, many=True, context=context).data
        return Response({**_executed(done), "new_positions": new_positions})


def _proposed(found: Proposed) -> dict[str, Any]:
    proposal = found.proposal
    if proposal is None:
        return {"proposal_id": None, "reason": None, "detail": found.why, "trades": [], "estimated_cost": _money(0), "proposal": None}
    proposal.status = RebalanceStatus.PENDING.value  # type: ignore[attr-defined] # as the list's query annotates it
    trades = proposal.trades.select_related("instrument").order_by("number")
    return {
        "proposal_id": proposal.pk,
        "reason": proposal.reason,
        "detail": "",
        "trades": RebalanceTradeSerializer(trades, many=True).data,
        "estimated_cost": _money(proposal.estimated_cost),
        "proposal": ProposalSerializer(proposal).data,
    }


def _executed(done: Execution) -> dict[str, Any]:
    proposed = {trade.client_order_id: trade.quantity for trade in done.view.trades}
    return {
        "proposal_id": done.view.proposal.pk,
        "status": done.ending.status,
        "detail": done.ending.detail,
        "total_cost": _money(done.ending.total_cost),
        "executed_trades": [
            {
                "ticker": order.instrument.symbol,
                "side": str(order.side),
                "quantity": trimmed(order.cumulative_quantity),
                "proposed_quantity": trimmed(proposed[order.client_order_id]),
                "price": trimmed(order.average_price),
                "status": str(order.status),
                "order": OrderSerializer(order).data,
            }
            for order in done.orders
        ],
    }


def _money(value: Any) -> str:
    field = DecimalString(max_digits=MONEY_DIGITS, decimal_places=MONEY_PLACES)
    return str(field.to_representation(value))
