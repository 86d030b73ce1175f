"""The process that talks to Alpaca: what waits is sent once, what was spoken of is read and booked, what nobody answered is looked up.

As with the gateway of Interactive Brokers nothing that matters is only in its memory, so a start is a recovery, and so is every new line.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from apps.core.errors import DeskError, InvalidInput
from apps.core.trading import TradingMode
from apps.execution.brokers.alpaca import ALPACA, NEVER_HAD, AccountMismatch, AlpacaBroker
from apps.execution.brokers.alpaca_line import AlpacaLine, AlpacaSettings, url_of
from apps.execution.brokers.alpaca_updates import AlpacaUpdates
from apps.execution.brokers.protocol import BrokerOrder, BrokerTimeout, BrokerUnreachable, ExecutionReport
from apps.execution.domain.states import TERMINAL_STATUSES, IllegalTransition, OrderEventKind, OrderStatus
from apps.execution.models import BrokerageAccount, BrokerRequest, Order, OrderEvent, ReconciliationTrigger
from apps.execution.selectors.rows import RELATED
from apps.execution.services.broker_requests import change_is_gone, events_waiting, order_alert, request_commit, wanted_order
from apps.execution.services.late_arrivals import ENDED_HERE, LateArrivals
from apps.execution.services.reconciliation_watch import ReconciliationWatch
from apps.execution.services.report_filter import reports_fresh
from apps.execution.services.reports import order_lock, reports_book
from apps.execution.services.routing import broker_order

logger = logging.getLogger(__name__)

#: How long Alpaca has to answer for an order before it is looked up, and between two look-ups.
PATIENCE = timedelta(seconds=10)
#: What is not there so long after its attempt has ended never arrived: an order, or a change. Many times what one request may take.
ARRIVAL_PATIENCE = timedelta(minutes=1)
#: So long an order that was called dead is read again like one that works.
DOUBT = timedelta(hours=1)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=60)
OPEN = (OrderStatus.SENT, OrderStatus.UNKNOWN_SENT, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_REPLACE)
UNARRIVED = (OrderStatus.UNKNOWN_SENT, OrderStatus.PENDING_CANCEL)


def alpaca_settings() -> AlpacaSettings:
    """Whose account the environment names. Raises InvalidInput naming what is missing, or accounts of both modes."""
    values = settings.VENDORS.values
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY"):
        if not values.get(name):
            raise InvalidInput(f"the environment variable {name} is not set", field=name)
    modes = sorted(set(BrokerageAccount.objects.filter(broker=ALPACA).values_list("mode", flat=True)))
    if len(modes) != 1:
        found = "no account at Alpaca: connect_account makes one" if not modes else "accounts of both modes: keys are of one account"
        raise InvalidInput(f"there are {found}" if modes else f"there is {found}", field="account")
    url = values.get("ALPACA_TRADING_URL") or url_of(TradingMode(modes[0]))
    return AlpacaSettings(
        key=values["ALPACA_API_KEY"], secret=values["ALPACA_SECRET_KEY"], url=url.rstrip("/"), stream=values.get("ALPACA_UPDATES_URL", "")
    )


class AlpacaDesk:
    """`step` does all that can be done now. Counts for whoever asks: sent, booked."""

    def __init__(self, where: AlpacaSettings, updates: AlpacaUpdates) -> None:
        self.updates = updates
        self.line = AlpacaLine(where)
        self.brokers: dict[str, AlpacaBroker] = {}
        self.sent = self.booked = 0
        self.watch = ReconciliationWatch(ALPACA, lambda: self.brokers, settle=self._at_rest)
        self._opened = -1
        self._looked_up = self._next_try = datetime.min.replace(tzinfo=UTC)
        self._now: Callable[[], datetime]
        self._late = LateArrivals(pause=PATIENCE)
        self._pause = FIRST_PAUSE
        self._told: set[str] = set()

    def close(self) -> None:
        """End the line."""
        self.line.close()

    def step(self, *, now: Callable[[], datetime]) -> None:
        """Find out who the keys are, recover after a new line, send, book, look up, compare the books.

        `now` tells the time: a step can take a minute, longer than decisions hold.
        """
        self._now = now
        if now() < self._next_try:
            return
        try:
            if not self.brokers:
                self._accounts()
            if self._opened != self.updates.opened:
                self._recover()
            self._send()
            self._book()
            self._chase()
            self.watch.step(at=now())
        except (BrokerTimeout, BrokerUnreachable) as error:
            self._next_try, self._pause = now() + self._pause, min(self._pause * 2, LONGEST_PAUSE)
            logger.warning("%s: again in %s", error, self._next_try - now())
        else:
            self._pause = FIRST_PAUSE

    def _accounts(self) -> None:
        """An adapter for each account that the keys are of, in the account's own mode; the others are told of once."""
        for account in BrokerageAccount.objects.filter(broker=ALPACA).order_by("id"):
            try:
                self.brokers[account.number] = AlpacaBroker(line=self.line, account=account.number, mode=TradingMode(account.mode))
            except AccountMismatch as error:
                if account.number not in self._told:
                    self._told.add(account.number)
                    logger.error("%s", error)

    def _recover(self) -> None:
        """A start or a new line: everything that works is read, and what was called dead of late."""
        opened = self.updates.opened
        self._settle(self._watched())
        self.watch.all_due(ReconciliationTrigger.START if self._opened < 0 else ReconciliationTrigger.RECONNECT)
        self._opened = opened

    def _send(self) -> None:
        for event in events_waiting(list(self.brokers), broker=ALPACA):
            self._request(event)

    def _request(self, event: OrderEvent, *, cancels_after: datetime | None = None) -> None:
        """Commit that it is about to be done, do it, book the answer. Without an answer the order is looked up, never sent again."""
        gateway = str(self.line.settings)
        told = request_commit(event=event, order_id=0, client_id=0, gateway=gateway, now=self._now, cancels_after=cancels_after)
        if told is None:
            return
        _, order, wanted = told
        kind = OrderEventKind(event.kind)
        try:
            reports = self._ask(kind, order, wanted)
        except (BrokerTimeout, BrokerUnreachable) as error:
            lost = ExecutionReport(kind=OrderEventKind.TIMED_OUT, reason=error.detail)
            self._report(order, (lost,) if kind is OrderEventKind.SENT else ())
            raise
        self.sent += 1
        self._report(order, self._missing(order) if reports == (NEVER_HAD,) else reports)

    def _ask(self, kind: OrderEventKind, order: Order, wanted: BrokerOrder | None) -> tuple[ExecutionReport, ...]:
        broker = self.brokers[order.account.number]
        if kind is OrderEventKind.SENT:
            return broker.submit(broker_order(order))
        if kind is OrderEventKind.PENDING_CANCEL:
            return broker.cancel(broker_order(order))
        return broker.replace(broker_order(order), wanted) if wanted is not None else ()

    def _book(self) -> None:
        spoken_of = self.updates.take()
        references = [reference for reference in spoken_of if len(reference) == 36 and reference.count("-") == 4]
        if references:
            self._settle(self._orders().filter(client_order_id__in=references))

    def _chase(self) -> None:
        """Look up what has waited too long, and while there is no stream everything that works."""
        at = self._now()
        if at - self._looked_up < PATIENCE:
            return
        self._looked_up = at
        waiting = Q(status__in=[status.value for status in OPEN]) | Q(pk__in=self._late.order_ids)
        self._settle(self._orders().filter(waiting) if self.updates.connected else self._watched())
        for event in (
            OrderEvent.objects.filter(
                kind=OrderEventKind.PENDING_CANCEL.value,
                order__in=self._orders().filter(status=OrderStatus.PENDING_CANCEL.value),
                requests__attempted_at__lte=at - PATIENCE,
            )
            .select_related("order", "order__account")
            .distinct()
        ):
            self._request(event, cancels_after=at - PATIENCE)

    def _orders(self) -> QuerySet[Order]:
        return Order.objects.filter(account__broker=ALPACA, account__number__in=list(self.brokers))

    def _watched(self) -> QuerySet[Order]:
        """Orders that work, and those that Alpaca may have after all."""
        dead = Q(status__in=ENDED_HERE, reason=NEVER_HAD.reason, updated_at__gte=self._now() - DOUBT)
        return self._orders().filter(~Q(status__in=TERMINAL_STATUSES) | dead | Q(pk__in=self._late.order_ids))

    def _settle(self, orders: QuerySet[Order]) -> None:
        """Read what Alpaca has of these orders, and book what is news."""
        for order in orders.select_related(*RELATED).order_by("portfolio_id", "id"):
            if not BrokerRequest.objects.filter(event__order=order, kind=OrderEventKind.SENT.value).exists():
                continue  # not yet sent
            wanted, broker = wanted_order(order), self.brokers[order.account.number]
            reports = broker.reports(broker_order(order), wanted=wanted) or self._missing(order)
            if wanted is not None and change_is_gone(order, reports, self._now() - ARRIVAL_PATIENCE):
                reports = (*reports, ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason="Alpaca never had the change"))
            self._report(order, reports)
            if order.status in ENDED_HERE:
                self._end_late(order, broker)

    def _missing(self, order: Order) -> tuple[ExecutionReport, ...]:
        """What it means that Alpaca does not have an order that was sent: that it never will, once the attempt is long over."""
        if order.status == OrderStatus.SENT:
            return (ExecutionReport(kind=OrderEventKind.TIMED_OUT, reason="Alpaca does not have it yet"),)
        attempted = BrokerRequest.objects.get(event__order=order, kind=OrderEventKind.SENT.value).attempted_at
        given_up = order.events.filter(kind=OrderEventKind.TIMED_OUT.value).order_by("id").values_list("occurred_at", flat=True).first()
        over = self._now() - max(attempted, given_up or attempted) >= ARRIVAL_PATIENCE
        return (NEVER_HAD,) if over and order.status in UNARRIVED else ()

    def _end_late(self, order: Order, broker: AlpacaBroker) -> None:
        """An order that has ended here and that Alpaca works is cancelled there."""
        if not broker.works(broker_order(order)):
            self._late.gone(order)
        elif self._late.found(order, self._now()):
            self._report(order, broker.cancel(broker_order(order)))

    def _report(self, order: Order, reports: tuple[ExecutionReport, ...]) -> None:
        at = self._now()
        try:
            with transaction.atomic():
                locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
                fresh = reports_fresh(locked, reports)
                if fresh:
                    reports_book(order=locked, reports=fresh, source=ALPACA, at=at)
                    self.booked += 1
        except IllegalTransition as error:
            if f"{order.pk}:{error}" not in self._told:
                self._told.add(f"{order.pk}:{error}")
                detail = f"{error}. It is not booked: reconcile the account."
                title = f"Order {order.pk}: the broker reports the impossible"
                order_alert(order=order, code="BROKER_REPORT_UNBOOKABLE", title=title, detail=detail, at=at)
        except DeskError:
            logger.exception("what happened to order %s is booked later", order.pk)

    def _at_rest(self) -> bool:
        """Book what can be read now. Activities of a fill may come after it: the comparison looks again."""
        self._settle(self._watched())
        return True
