"""The gate: what risk and compliance are told of an order, and what they say. Nothing reaches a broker around it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from apps.compliance.services import pretrade as compliance
from apps.core.trading import OrderIntent, PreTradeSnapshot, Verdict, blocking_codes
from apps.execution.selectors.working import order_rates, working_orders
from apps.marketdata.selectors.quotes import reference_prices
from apps.risk.services import pretrade as risk

#: How long a decision holds. Between the gate and the broker lie milliseconds; after this an order is judged anew or dies.
DECISION_VALIDITY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What was judged and what was said, authority by authority."""

    snapshot: PreTradeSnapshot
    verdicts: tuple[Verdict, ...]

    @property
    def allowed(self) -> bool:
        """Both authorities were asked and both allow it."""
        return {verdict.authority for verdict in self.verdicts if verdict.allowed} == {"risk", "compliance"}

    @property
    def codes(self) -> tuple[str, ...]:
        return blocking_codes(self.verdicts)

    @property
    def reference_price(self) -> Decimal | None:
        return self.snapshot.reference.price if self.snapshot.reference else None


def gate_check(*, intent: OrderIntent, user_id: int, at: datetime, instead_of: Collection[int] = ()) -> Gate:
    """Ask both authorities, whatever the first one says, so that every breach is known. Writes nothing.

    `instead_of` names working orders that cannot trade beside this intent: one whose rest it would take the place of, others of a group
    in which one cancels the other. They are not counted.
    Whoever goes on to store an order holds the portfolio's lock, so that no two orders pass on the same cash.
    """
    rates = order_rates(portfolio_id=intent.portfolio_id, instrument_id=intent.instrument_id, since=at - timedelta(minutes=1))
    snapshot = PreTradeSnapshot(
        intent=intent,
        working_orders=tuple(order for order in working_orders(intent.portfolio_id) if order.order_id not in instead_of),
        reference=reference_prices([intent.symbol]).get(intent.symbol),
        orders_last_minute=rates.portfolio,
        symbol_orders_last_minute=rates.instrument,
        user_id=user_id,
        as_of=at,
    )
    # One savepoint for both: where the first check breaks the transaction the second cannot look either, and both deny.
    with transaction.atomic():
        verdicts = (risk.order_check(snapshot=snapshot, savepoint=False), compliance.order_check(snapshot=snapshot, savepoint=False))
    return Gate(snapshot=snapshot, verdicts=verdicts)
