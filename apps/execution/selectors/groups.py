"""Questions about brackets and OCO pairs."""

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from apps.core.documents import plain
from apps.core.errors import NotFound
from apps.execution.domain.amounts import trimmed
from apps.execution.models import OrderGroup
from apps.execution.selectors.rows import RELATED, order_row
from apps.portfolios.selectors.portfolios import portfolios_visible

if TYPE_CHECKING:
    from apps.core.models import User


def groups_visible(user: "User") -> QuerySet[OrderGroup]:
    """Groups in the portfolios that the user sees."""
    found = OrderGroup.objects.filter(portfolio__in=portfolios_visible(user).order_by())
    return found.select_related("portfolio", "book", "instrument", "created_by")


def group_get(*, user: "User", group_id: int) -> OrderGroup:
    """Raises NotFound, also for a group in a portfolio that the user does not see."""
    group = groups_visible(user).filter(pk=group_id).first()
    if group is None:
        raise NotFound(f"there is no bracket {group_id}", field="group_id")
    return group


def group_row(group: OrderGroup) -> dict[str, Any]:
    """The group with its orders as they stand, the entry first."""
    orders = [order_row(order) for order in group.orders.select_related(*RELATED).order_by("id")]
    return {
        "id": group.pk,
        "kind": str(group.kind),
        "client_group_id": str(group.client_group_id),
        "portfolio_id": group.portfolio_id,
        "portfolio": group.portfolio.name,
        "book": group.book.name,
        "symbol": group.instrument.symbol,
        "exit_side": str(group.side),
        "quantity": trimmed(group.quantity),
        "take_profit": trimmed(group.take_profit),
        "stop_loss": trimmed(group.stop_loss),
        "exit_time_in_force": str(group.time_in_force),
        "created_by": group.created_by.get_username(),
        "created_at": plain(group.created_at),
        "orders": orders,
    }
