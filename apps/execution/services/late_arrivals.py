"""Orders that the desk ended and that their broker works all the same: they arrived after they had been called dead."""

from datetime import datetime, timedelta

from apps.execution.domain.states import OrderStatus
from apps.execution.models import Order
from apps.execution.services.broker_requests import order_alert

#: How an order can stand here that was called dead.
ENDED_HERE = (OrderStatus.REJECTED, OrderStatus.CANCELED, OrderStatus.EXPIRED)


class LateArrivals:
    """Which there are, as far as their broker has told. An order that has ended never comes back to life: it is cancelled there, and people
    are told. What it trades until then is booked like every late fill. `pause` is how long a cancel has to be answered.
    """

    def __init__(self, *, pause: timedelta) -> None:
        self._pause = pause
        self._asked: dict[int, datetime] = {}

    @property
    def order_ids(self) -> list[int]:
        return list(self._asked)

    def found(self, order: Order, at: datetime) -> bool:
        """The broker works the order. True when its cancel is to be asked for now."""
        asked = self._asked.get(order.pk)
        if asked is None:
            title = f"Order {order.pk} arrived after it was given up"
            detail = f"It is {order.status} here, and its broker works it: it is cancelled there. Look at the account."
            order_alert(order=order, code="ORDER_ARRIVED_LATE", title=title, detail=detail, at=at, key=f"arrived_late:{order.pk}")
        elif at - asked < self._pause:
            return False
        self._asked[order.pk] = at
        return True

    def gone(self, order: Order) -> None:
        """The broker does not work the order."""
        self._asked.pop(order.pk, None)
