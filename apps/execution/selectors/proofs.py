"""Everything that a fill stands on: the order and its intent, who allowed it, what it was matched against, its steps, its ledger entries."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.core.documents import plain
from apps.core.errors import NotFound
from apps.execution.models import Fill
from apps.execution.selectors.orders import decision_rows, event_rows, fills_visible
from apps.execution.selectors.rows import fill_row, order_row
from apps.portfolios.selectors.cash import entries_by_reference

if TYPE_CHECKING:
    from apps.core.models import User

AUTHORITIES = ("risk", "compliance")


@dataclass(frozen=True, slots=True, kw_only=True)
class FillProof:
    """One fill with all that explains it, as plain values. `missing` names what should be there and is not: of a sound fill, nothing."""

    fill: dict[str, Any]
    order: dict[str, Any]
    intent_digest: str
    decisions: tuple[dict[str, Any], ...]
    events: tuple[dict[str, Any], ...]
    entries: tuple[dict[str, Any], ...]
    missing: tuple[str, ...]


def fill_get(*, user: "User", fill_id: int) -> Fill:
    """Raises NotFound, also for a fill in a portfolio that the user does not see."""
    fill = fills_visible(user).filter(pk=fill_id).first()
    if fill is None:
        raise NotFound(f"there is no fill {fill_id}", field="id")
    return fill


def fill_proof(fill: Fill) -> FillProof:
    """What a fill stands on. Needs the fill with its order's relations (`fills_visible`)."""
    order = fill.order
    decisions, events = decision_rows(order), event_rows(order)
    entries = entries_by_reference(order.portfolio_id, f"{fill.broker}:{fill.execution_id}")
    traded = [event for event in events if event["data"].get("execution_id") == fill.execution_id]
    allowed = {decision["authority"] for decision in decisions if decision["allowed"] and decision["intent_digest"] == order.intent_digest}
    booked = [entry for entry in entries if entry.kind == "trade"]
    found = {
        **{f"decision of {authority}": authority in allowed for authority in AUTHORITIES},
        "quote": bool(fill.quote),
        "event": len(traded) == 1,
        "ledger entry": len(booked) == 1 and (abs(booked[0].quantity), booked[0].price, booked[0].fee) == (fill.quantity, fill.price, fill.fee),
    }
    return FillProof(
        fill=fill_row(fill),
        order=order_row(order),
        intent_digest=order.intent_digest,
        decisions=decisions,
        events=events,
        entries=tuple(
            {
                "id": entry.pk,
                "kind": entry.kind,
                "quantity": plain(entry.quantity),
                "price": plain(entry.price),
                "fee": plain(entry.fee),
                "amount": plain(entry.amount),
                "currency": entry.currency,
                "source": entry.source,
                "effective_at": plain(entry.effective_at),
            }
            for entry in entries
        ),
        missing=tuple(name for name, there in found.items() if not there),
    )
