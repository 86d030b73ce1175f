"""What of a broker's whole story of an order is news to the desk. Brokers repeat themselves; an order's row must not."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from apps.execution.brokers.protocol import ExecutionReport
from apps.execution.domain.states import OrderEventKind, OrderStatus, fill_level, transition_for
from apps.execution.models import Order

_E, _S = OrderEventKind, OrderStatus

UNACKNOWLEDGED = frozenset({_S.SENT, _S.UNKNOWN_SENT})
WORKING = frozenset({_S.NEW, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL, _S.PENDING_REPLACE})
#: From where a refusal is one of the whole order. Later than that its rest is cancelled, whatever the broker calls it.
REFUSABLE = UNACKNOWLEDGED | {_S.NEW}
#: In which statuses a report says something new.
_NEWS = {
    _E.NEW: UNACKNOWLEDGED,
    _E.TIMED_OUT: UNACKNOWLEDGED,
    _E.TRIGGERED: WORKING,
    _E.RESTATED: WORKING,
    _E.REPLACED: frozenset({_S.PENDING_REPLACE, _S.PENDING_CANCEL}),
    _E.REPLACE_REJECT: frozenset({_S.PENDING_REPLACE}),
    _E.CANCEL_REJECT: frozenset({_S.PENDING_CANCEL}),
    _E.CANCELED: UNACKNOWLEDGED | WORKING,
    _E.REJECTED: UNACKNOWLEDGED | WORKING,
    _E.EXPIRED: UNACKNOWLEDGED | WORKING,
}


def reports_fresh(order: Order, reports: Iterable[ExecutionReport], *, same: Callable[[str], str] = str) -> tuple[ExecutionReport, ...]:
    """The reports that are to be booked, in order. `same` makes one text of all ids of an execution (corrections have ids of their own)."""
    booked = {same(execution_id) for execution_id in order.fills.values_list("execution_id", flat=True)} if order.cumulative_quantity else set()
    status, cumulative, quantity = OrderStatus(order.status), order.cumulative_quantity, order.quantity
    fresh = []
    for told in reports:
        report = told
        if report.execution is not None:
            if same(report.execution.execution_id) in booked:
                continue
            booked.add(same(report.execution.execution_id))
            cumulative += report.execution.quantity
        elif status not in _NEWS.get(report.kind, ()) or (report.kind is _E.TRIGGERED and order.stop_triggered):
            continue
        if report.kind is _E.REPLACED:
            asked = order.replacements.order_by("-id").first()
            if asked is None or asked.intent_digest == order.intent_digest:
                continue
            quantity = max(asked.quantity, cumulative)
        if report.kind is _E.REJECTED and status not in REFUSABLE:
            report = replace(report, kind=_E.CANCELED)
        status = transition_for(status, report.kind, fill_level(cumulative=cumulative, quantity=quantity)).target
        fresh.append(report)
    return tuple(fresh)
