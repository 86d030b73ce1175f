"""The process that holds the one line to a gateway of Interactive Brokers: a step at a time, each of which may be the last.

Nothing it needs to know is only in its memory. What was asked for is in the orders' events, what was attempted in `BrokerRequest`, what
has happened at the gateway: so a start is a recovery, and so is every new line.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Max, Q

from apps.alerts.services import alert_raise
from apps.core.errors import DeskError, InvalidInput
from apps.core.trading import TradingMode
from apps.execution.brokers.ib import FEE_PATIENCE, IB, GatewayMismatch, IbBroker
from apps.execution.brokers.ib_line import GatewaySettings, IbLine
from apps.execution.brokers.protocol import BrokerTimeout, BrokerUnreachable, ExecutionReport
from apps.execution.domain.states import IllegalTransition, OrderEventKind, OrderStatus
from apps.execution.models import BrokerageAccount, BrokerRequest, Order, OrderEvent, ReconciliationTrigger
from apps.execution.selectors.rows import RELATED
from apps.execution.services.broker_requests import events_waiting, order_alert
from apps.execution.services.ib_orders import ib_order, order_bring_up, request_make
from apps.execution.services.late_arrivals import ENDED_HERE, LateArrivals
from apps.execution.services.reconciliation_watch import ReconciliationWatch
from apps.portfolios.selectors.portfolios import portfolio_members

logger = logging.getLogger(__name__)

#: How long the gateway has to answer for an order before it is looked up, and between two look-ups.
PATIENCE = timedelta(seconds=10)
#: How long the line may be silent before it is asked whether it is there.
SILENCE = timedelta(seconds=15)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=60)
#: The gateway's day: it forgets what ended, and what was executed, at midnight.
GATEWAY_ZONE = ZoneInfo("America/New_York")
OPEN = (OrderStatus.SENT, OrderStatus.UNKNOWN_SENT, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)


def gateway_settings() -> GatewaySettings:
    """The gateway that the environment names. Raises InvalidInput when it names none."""
    if not settings.IB_HOST:
        raise InvalidInput("no gateway of Interactive Brokers is named", field="IB_HOST")
    return GatewaySettings(host=settings.IB_HOST, port=settings.IB_PORT, client_id=settings.IB_CLIENT_ID)


class IbDesk:
    """`step` does all that can be done now; `wait` returns when there may be more. Counts for whoever asks: sent, booked, connections."""

    def __init__(self, line: IbLine) -> None:
        self.line = line
        self.brokers: dict[str, IbBroker] = {}
        self.sent = self.booked = self.connections = 0
        self.watch = ReconciliationWatch(IB, lambda: self.brokers, settle=self._at_rest)
        self._portfolios: dict[str, int] = {}
        self._pause, self._next_try = FIRST_PAUSE, datetime.min.replace(tzinfo=GATEWAY_ZONE)
        self._looked_up = self._heard = self._opened = self._next_try
        self._now: Callable[[], datetime]
        self._late = LateArrivals(pause=PATIENCE)
        self._again: set[str] = set()
        self._ours: set[tuple[str, str]] = set()
        self._told: set[str] = set()

    def wait(self, seconds: float, *, fd: int | None = None) -> None:
        """Until the gateway says something, or `fd` can be read, or the time is over."""
        self.line.wait(seconds, fd=fd)

    def step(self, *, now: Callable[[], datetime]) -> None:
        """Connect when there is no line, send what waits, book what was said, look up what nobody knows, compare the books.

        `now` tells the time: a step can take most of a minute, longer than decisions hold.
        """
        self._now = now
        try:
            if not self._connected(now()):
                return
            if self.line.data_lost:
                self._recover()
                self.watch.all_due(ReconciliationTrigger.RECONNECT)
            self._send()
            self._book(now())
            self._chase(now())
            self.watch.step(at=now())
        except BrokerTimeout as error:
            logger.warning("%s: the line is opened anew", error)
            self.line.disconnect()
        except BrokerUnreachable as error:
            logger.warning("%s", error)

    # The line.

    def _connected(self, at: datetime) -> bool:
        if self.line.connected:
            return True
        if at < self._next_try:
            return False
        try:
            self.line.connect()
            self._opened = self._now()
            self._accounts(self._opened)
            self._recover()
        except (BrokerUnreachable, BrokerTimeout) as error:
            self.line.disconnect()
            self._next_try, self._pause = self._now() + self._pause, min(self._pause * 2, LONGEST_PAUSE)
            logger.warning("%s: again in %s", error, self._next_try - self._now())
            return False
        self._pause = FIRST_PAUSE
        self.watch.all_due(ReconciliationTrigger.RECONNECT if self.connections else ReconciliationTrigger.START)
        self.connections += 1
        return True

    def _accounts(self, at: datetime) -> None:
        """An adapter for each account that this gateway serves in the account's own mode; the others are told of."""
        self.brokers, self._portfolios = {}, {}
        for account in BrokerageAccount.objects.filter(broker=IB):
            try:
                self.brokers[account.number] = IbBroker(line=self.line, account=account.number, mode=TradingMode(account.mode))
            except GatewayMismatch as error:
                self._tell_once(f"mismatch:{account.number}", "GATEWAY_MISMATCH", str(error), account.portfolio_id, at)
            self._portfolios[account.number] = account.portfolio_id
        used = BrokerRequest.objects.filter(gateway=str(self.line.settings), client_id=self.line.settings.client_id)
        self.line.never_below(used.aggregate(last=Max("broker_order_id"))["last"] or 0)

    def _recover(self) -> None:
        """Everything anew: what was attempted before is known, or was never there."""
        self.line.data_lost = False
        self.line.refresh()
        at = self._heard = self._now()
        orders = Order.objects.working().filter(account__broker=IB, account__number__in=list(self.brokers))
        self._settle(orders.select_related(*RELATED).order_by("portfolio_id", "id"), at)

    # What goes out.

    def _send(self) -> None:
        if not self.line.ready:
            return
        for event in events_waiting(list(self.brokers), broker=IB):
            try:
                if request_make(event=event, broker=self.brokers[event.order.account.number], now=self._now):
                    self.sent += 1
            except BrokerUnreachable:
                raise
            except DeskError:
                logger.exception("order %s could not be sent now", event.order_id)

    # What comes in.

    def _book(self, at: datetime) -> None:
        changed = self.line.ask(lambda book: book.take_changed()) | self._again
        recent = self.line.now() - 3 * FEE_PATIENCE.total_seconds()
        waiting = self.line.ask(lambda book: {one.reference for one in book.executions.values() if one.fee is None and one.seen_at > recent})
        self._again = set()
        if changed:
            self._heard = at
        if changed or waiting:
            orders = Order.objects.filter(account__number__in=list(self.brokers), client_order_id__in=_ids(changed | waiting))
            for order in orders.select_related(*RELATED).order_by("portfolio_id", "id"):
                self._bring_up(order, at)
                self._ours.add((order.account.number, str(order.client_order_id)))
            self._strangers(at)

    def _at_rest(self) -> bool:
        """Book what was said meanwhile; False while an execution waits for its commission, or an order for being booked."""
        self._book(self._now())
        recent = self.line.now() - FEE_PATIENCE.total_seconds()
        waits = self.line.ask(lambda book: any(one.fee is None and one.seen_at > recent for one in book.executions.values()))
        return not waits and not self._again

    def _bring_up(self, order: Order, at: datetime, *, gone_before: datetime | None = None, more: tuple[ExecutionReport, ...] = ()) -> None:
        try:
            broker = self.brokers[order.account.number]
            self._end_late(order_bring_up(order=order, broker=broker, at=at, gone_before=gone_before, more=more), broker, at)
        except IllegalTransition as error:
            if f"illegal:{order.pk}:{error}" not in self._told:
                self._told.add(f"illegal:{order.pk}:{error}")
                detail = f"{error}. It is not booked: reconcile the account."
                order_alert(
                    order=order, code="BROKER_REPORT_UNBOOKABLE", title=f"Order {order.pk}: the broker reports the impossible", detail=detail, at=at
                )
        except DeskError:
            logger.exception("what happened to order %s is booked later", order.pk)
            self._again.add(str(order.client_order_id))
        else:
            self.booked += 1

    def _end_late(self, order: Order, broker: IbBroker, at: datetime) -> None:
        """An order that has ended here and that the gateway works is cancelled there."""
        if order.status not in ENDED_HERE or not broker.works(ib_order(order)):
            self._late.gone(order)
        elif self.line.ready and self._late.found(order, at):
            broker.send_cancel(ib_order(order))

    def _strangers(self, at: datetime) -> None:
        """Executions that no order of the desk explains are told of, and never booked: reconciliation decides."""
        told = self.line.ask(lambda book: list(book.executions.values()))
        executions = [one for one in told if one.account in self.brokers and (one.account, one.reference) not in self._ours]
        if executions:
            mine = Order.objects.filter(account__broker=IB, client_order_id__in=_ids({one.reference for one in executions}))
            self._ours |= {(number, str(key)) for number, key in mine.values_list("account__number", "client_order_id")}
        for one in executions:
            if (one.account, one.reference) not in self._ours:
                text = f"execution {one.execution_id} of {one.quantity:f} {one.symbol} at {one.price:f} belongs to no order of the desk"
                self._tell_once(f"stranger:{one.execution_id}", "UNKNOWN_EXECUTION", text, self._portfolios[one.account], at)

    # What nobody knows.

    def _chase(self, at: datetime) -> None:
        """Look up what has waited too long, and ask a silent line whether it is there."""
        if at - self._heard > SILENCE:
            self.line.heartbeat()
            self._heard = at
        if at - self._looked_up < PATIENCE:
            return
        self._looked_up = at
        late = Q(status__in=[status.value for status in OPEN], events__requests__attempted_at__lte=at - PATIENCE) | Q(pk__in=self._late.order_ids)
        orders = list(
            Order.objects.filter(late, account__number__in=list(self.brokers)).distinct().select_related(*RELATED).order_by("portfolio_id", "id")
        )
        if orders:
            self.line.refresh()
            self._settle(orders, self._now())

    def _settle(self, orders: Iterable[Order], at: datetime) -> None:
        """The gateway has just told everything it knows: bring these orders up to it."""
        for order in orders:
            broker = self.brokers[order.account.number]
            request = BrokerRequest.objects.filter(event__order=order, kind=OrderEventKind.SENT.value).first()
            if request is None:
                continue  # not yet sent
            if broker.knows(ib_order(order)):
                self._bring_up(order, at, gone_before=at - PATIENCE)
                self._cancel_again(order, broker, at)
            else:
                self._bring_up(order, at, more=self._missing(order, broker, request, at))

    def _missing(self, order: Order, broker: IbBroker, request: BrokerRequest, at: datetime) -> tuple[ExecutionReport, ...]:
        """What it means that the gateway knows nothing of an order that may have been sent."""
        same_day = request.attempted_at.astimezone(GATEWAY_ZONE).date() == at.astimezone(GATEWAY_ZONE).date()
        # What was sent over a line that broke may still be on its way through the gateway for a moment after it listens again.
        settled = at - max(request.attempted_at, self._opened) >= PATIENCE
        if same_day and settled and order.status in (OrderStatus.SENT, OrderStatus.UNKNOWN_SENT, OrderStatus.PENDING_CANCEL):
            return (broker.never_had(ib_order(order)),)
        if not same_day and order.status not in ENDED_HERE:
            text = f"order {order.pk} is not among the gateway's open orders, and what ended on an earlier day the gateway does not tell"
            self._tell_once(f"missing:{order.pk}:{at.date()}", "ORDER_NOT_AT_BROKER", text, order.portfolio_id, at)
        if order.status == OrderStatus.SENT:
            return (ExecutionReport(kind=OrderEventKind.TIMED_OUT, reason="the gateway has not answered for it"),)
        return ()

    def _cancel_again(self, order: Order, broker: IbBroker, at: datetime) -> None:
        asked = OrderEvent.objects.filter(order=order, kind=OrderEventKind.PENDING_CANCEL.value).select_related("order").order_by("-id").first()
        if asked is not None and self.line.ready:
            request_make(event=asked, broker=broker, now=self._now, cancels_after=at - PATIENCE)

    def _tell_once(self, key: str, code: str, text: str, portfolio_id: int, at: datetime) -> None:
        if key in self._told:
            return
        self._told.add(key)
        alert_raise(
            code=code,
            severity="critical",
            title=text[:200],
            detail=text,
            subject=f"portfolio:{portfolio_id}",
            data={"broker": IB},
            recipients=portfolio_members(portfolio_id),
            occurred_at=at,
            recorded_at=at,
        )


def _ids(references: Iterable[str]) -> list[str]:
    """Those references that can be client order ids."""
    return [reference for reference in references if len(reference) == 36 and reference.count("-") == 4]
