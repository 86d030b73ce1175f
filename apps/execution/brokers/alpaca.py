"""Alpaca: the desk's orders as Alpaca knows them, and back. No database, no Django.

Alpaca knows an order by our reference (`client_order_id`), refuses a second one under it, and gives a changed order a new id: the order and
what has replaced it are read as one. What has traded is read from the account's activities, the only place where an execution has one
name for ever; the stream of trade updates says that there is something to read.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from apps.core.errors import RuleRefused
from apps.core.money import ZERO
from apps.core.trading import OrderType, TimeInForce, TradingMode
from apps.execution.brokers.alpaca_line import LIVE_URL, PAPER_URL, AlpacaLine, Refused
from apps.execution.brokers.alpaca_words import (
    ON_CLOSE,
    ORDER_TYPES,
    TIMES_IN_FORCE,
    UNCERTAIN,
    AlpacaState,
    alpaca_state,
    amount,
    mode_of_number,
    moment,
    number,
    reference_of,
    side_of,
)
from apps.execution.brokers.protocol import (
    BrokerFill,
    BrokerOpenOrder,
    BrokerOrder,
    BrokerStatement,
    BrokerTimeout,
    Execution,
    ExecutionReport,
)
from apps.execution.domain.states import OrderEventKind

ALPACA = "alpaca"
NOT_FOUND = 404
PAGE, OPEN_PAGE = 100, 500
#: The answer for an order that Alpaca does not have. A moment after it was sent it may arrive yet.
NEVER_HAD = ExecutionReport(kind=OrderEventKind.REJECTED, reason="Alpaca has never had it")
#: An activity may be stamped a moment before its order.
MARGIN = timedelta(minutes=1)
ANSWERS = frozenset({OrderEventKind.CANCEL_REJECT, OrderEventKind.REPLACE_REJECT})

Told = Mapping[str, Any]


class AccountMismatch(RuleRefused):
    """The keys are of another account, or it trades for money where paper was meant, or the other way round."""

    code: ClassVar[str] = "ACCOUNT_MISMATCH"


def values_of(order: BrokerOrder) -> dict[str, Any]:
    """An order's fields as Alpaca takes them: numbers as text."""
    on_close = order.order_type is OrderType.MARKET_ON_CLOSE
    prices = {"limit_price": order.limit_price, "stop_price": order.stop_price, "trail_price": order.trail_offset}
    return {
        "symbol": order.symbol,
        "qty": f"{order.quantity:f}",
        "side": order.side.value,
        "type": ORDER_TYPES[order.order_type],
        "time_in_force": ON_CLOSE if on_close else TIMES_IN_FORCE[order.time_in_force],
        "client_order_id": order.reference,
        **{name: f"{price:f}" for name, price in prices.items() if price is not None},
    }


class AlpacaBroker:
    """A `Broker` for one account."""

    name = ALPACA

    def __init__(self, *, line: AlpacaLine, account: str, mode: TradingMode) -> None:
        """Asks who the keys are. Raises AccountMismatch, BrokerTimeout, BrokerUnreachable."""
        other = LIVE_URL if mode is TradingMode.PAPER else PAPER_URL
        if mode_of_number(account) is not mode:
            raise AccountMismatch(f"account {account} trades in {mode_of_number(account)}, not in {mode}", account=account)
        if line.settings.url.rstrip("/") == other:
            raise AccountMismatch(f"{line.settings} does not trade in {mode}", account=account)
        found = str(_asked(line, "GET", "/account")["account_number"])
        if found != account:
            raise AccountMismatch(f"the keys are those of account {found}, not of {account}", account=account)
        self.line, self.account, self.mode = line, account, mode

    def submit(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Send the order. One that Alpaca has already is told of instead, and one that it has no words for is rejected unsent."""
        if order.time_in_force is TimeInForce.GTD:
            return (ExecutionReport(kind=OrderEventKind.REJECTED, reason="Alpaca has no good-till-date orders"),)
        try:
            told = self.line.ask("POST", "/orders", values_of(order))
        except Refused as error:
            if "client_order_id" in error.text and (found := self._find(order.reference)) is not None:
                return self._news(order, [found, *self._successors(found)])
            return (ExecutionReport(kind=OrderEventKind.REJECTED, reason=error.text),)
        return self._news(order, [told])

    def cancel(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Ask for the cancel. What has ended refuses it; what is not cancelled at once is told later."""
        chain = self._chain(order)
        if not chain:
            return (NEVER_HAD,)
        try:
            self.line.ask("DELETE", f"/orders/{chain[-1]['id']}")
        except Refused as error:
            reports = self._story(order, self._chain(order))
            ended = any(report.kind in (OrderEventKind.CANCELED, OrderEventKind.EXPIRED) for report in reports)
            refusal = () if ended else (ExecutionReport(kind=OrderEventKind.CANCEL_REJECT, reason=error.text),)
            return (*(report for report in reports if report.kind not in {*ANSWERS, OrderEventKind.NEW}), *refusal)
        reports = self._story(order, self._chain(order))
        return tuple(report for report in reports if report.kind is not OrderEventKind.NEW)

    def replace(self, order: BrokerOrder, changed: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Ask for the change. Alpaca's quantity of a changed order is what is left of it, so what has traded is taken off."""
        chain = self._chain(order)
        if not chain:
            return (ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason="Alpaca has no such order"),)
        left = changed.quantity - sum((amount(one["filled_qty"]) for one in chain), ZERO)
        if left <= ZERO:
            return (ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason="as much as the change asks for has traded"),)
        values = values_of(changed)
        wanted: dict[str, Any] = {name: values[name] for name in ("limit_price", "stop_price") if name in values}
        wanted |= {"trail": values["trail_price"]} if "trail_price" in values else {}
        if changed.order_type is not OrderType.MARKET_ON_CLOSE:
            wanted["time_in_force"] = values["time_in_force"]
        wanted |= {"qty": f"{left.normalize():f}", "client_order_id": f"{order.reference}/{len(chain)}"}
        try:
            self.line.ask("PATCH", f"/orders/{chain[-1]['id']}", wanted)
        except Refused as error:
            reports = self._story(order, self._chain(order))
            traded = tuple(report for report in reports if report.execution is not None)
            return (*traded, ExecutionReport(kind=OrderEventKind.REPLACE_REJECT, reason=error.text))
        return tuple(report for report in self.reports(order, wanted=changed) if report.kind is not OrderEventKind.NEW)

    def lookup(self, order: BrokerOrder) -> tuple[ExecutionReport, ...]:
        """Everything that happened to the order so far; one REJECTED for an order that Alpaca has never had."""
        return self.reports(order) or (NEVER_HAD,)

    def works(self, order: BrokerOrder) -> bool:
        """Alpaca has the order, and it may still trade."""
        chain = self._chain(order)
        return bool(chain) and alpaca_state(str(chain[-1]["status"])) is AlpacaState.WORKING

    def reports(self, order: BrokerOrder, *, wanted: BrokerOrder | None = None) -> tuple[ExecutionReport, ...]:
        """The same with the answer to a change that is wanted; nothing for an order that Alpaca has never had."""
        chain = self._chain(order)
        if not chain:
            return ()
        reports = self._story(order, chain, wanted=wanted)
        return reports if wanted is not None else tuple(report for report in reports if report.kind not in ANSWERS)

    def statement(self, since: datetime) -> BrokerStatement:
        """What Alpaca's books say of the account now. Regulatory fees come a day later, as cash without a trade."""
        orders = [self._with_past(one) for one in self._open()]
        fills = self._fills(since)
        references = {str(one["id"]): reference_of(one["client_order_id"]) for chain in orders for one in chain}
        for order_id in sorted({str(fill["order_id"]) for fill in fills} - references.keys()):
            references[order_id] = reference_of(str((_asked(self.line, "GET", f"/orders/{order_id}"))["client_order_id"]))
        account = _asked(self.line, "GET", "/account")
        positions = {str(one["symbol"]): _signed(one) for one in _asked(self.line, "GET", "/positions")}
        return BrokerStatement(
            as_of=datetime.now(UTC),
            open_orders=tuple(_open_order(chain) for chain in orders),
            fills=tuple(
                BrokerFill(
                    reference=references[str(fill["order_id"])],
                    symbol=str(fill["symbol"]),
                    side=side_of(str(fill["side"])),
                    execution=_execution(fill),
                )
                for fill in fills
            ),
            positions={symbol: shares for symbol, shares in positions.items() if shares},
            cash={str(account["currency"]): amount(account["cash"])},
        )

    # What Alpaca has.

    def _find(self, reference: str) -> Told | None:
        try:
            return dict(self.line.ask("GET", "/orders:by_client_order_id", {"client_order_id": reference}))
        except Refused as error:
            if error.status == NOT_FOUND:
                return None
            raise BrokerTimeout(f"Alpaca does not say what it knows of order {reference}: {error.text}") from error

    def _chain(self, order: BrokerOrder) -> list[Told]:
        """The order and all that has taken its place, oldest first; nothing where Alpaca has never had it."""
        first = self._find(order.reference)
        return [] if first is None else [first, *self._successors(first)]

    def _successors(self, order: Told) -> list[Told]:
        found: list[Told] = []
        while (found[-1] if found else order).get("replaced_by"):
            found.append(_asked(self.line, "GET", f"/orders/{(found[-1] if found else order)['replaced_by']}"))
        return found

    def _with_past(self, order: Told) -> list[Told]:
        """A working order with those whose place it has taken, oldest first."""
        chain = [order]
        while chain[0].get("replaces"):
            chain.insert(0, _asked(self.line, "GET", f"/orders/{chain[0]['replaces']}"))
        return chain

    def _open(self) -> list[Told]:
        """All working orders, a page at a time: by when they were submitted, newest first."""
        found: dict[str, Told] = {}
        until: str | None = None
        while True:
            wanted = {"status": "open", "limit": OPEN_PAGE, "direction": "desc", **({"until": until} if until else {})}
            page = _asked(self.line, "GET", "/orders", wanted)
            fresh = {str(one["id"]): one for one in page if str(one["id"]) not in found}
            found |= fresh
            if not fresh or len(page) < OPEN_PAGE:
                return list(found.values())
            until = str(page[-1]["submitted_at"])

    def _fills(self, since: datetime) -> list[Told]:
        """Executions at or after a time, oldest first."""
        found: list[Told] = []
        wanted: dict[str, Any] = {"after": (since - MARGIN).astimezone(UTC).isoformat(), "direction": "asc", "page_size": PAGE}
        while True:
            page = _asked(self.line, "GET", "/account/activities/FILL", wanted)
            found += page
            if len(page) < PAGE:
                return sorted((one for one in found if moment(str(one["transaction_time"])) >= since), key=lambda one: str(one["id"]))
            wanted["page_token"] = str(page[-1]["id"])

    # What it means.

    def _news(self, order: BrokerOrder, chain: list[Told]) -> tuple[ExecutionReport, ...]:
        return tuple(report for report in self._story(order, chain) if report.kind not in ANSWERS)

    def _story(self, order: BrokerOrder, chain: list[Told], *, wanted: BrokerOrder | None = None) -> tuple[ExecutionReport, ...]:
        """All that has happened, in an order in which it can have happened. The end waits for the executions that it speaks of."""
        last = chain[-1]
        traded = sum((amount(one["filled_qty"]) for one in chain), ZERO)
        if alpaca_state(str(last["status"])) is AlpacaState.REJECTED and not traded and len(chain) == 1:
            return (ExecutionReport(kind=OrderEventKind.REJECTED, reason=str(last.get("reject_reason") or "Alpaca refuses it")),)
        ids = {str(one["id"]) for one in chain}
        fills = [one for one in self._fills(moment(str(chain[0]["created_at"])) - MARGIN) if str(one["order_id"]) in ids] if traded else []
        # What the last order of the chain traded came after the change that made it.
        earlier, later = (
            [
                ExecutionReport(kind=OrderEventKind.TRADE, execution=_execution(one))
                for one in fills
                if (str(one["order_id"]) == str(last["id"])) is of_last
            ]
            for of_last in (False, True)
        )
        reports = [ExecutionReport(kind=OrderEventKind.NEW)]
        stop = number(last.get("stop_price")) if order.order_type.has_trail else None
        if stop is not None and stop != order.working_stop and alpaca_state(str(last["status"])) is AlpacaState.WORKING:
            reports.append(ExecutionReport(kind=OrderEventKind.RESTATED, working_stop=stop))
        changed = [ExecutionReport(kind=OrderEventKind.REPLACED)] if wanted is not None and _is_changed(chain, wanted) else []
        reports += [*earlier, *changed, *later]
        told = sum((amount(one["qty"]) for one in fills), ZERO)
        return (*reports, *(_ending(last) if told >= traded else ()))


def _is_changed(chain: list[Told], wanted: BrokerOrder) -> bool:
    """The last order of the chain is what the change asked for, and Alpaca has said that it works."""
    last, past = chain[-1], sum((amount(one["filled_qty"]) for one in chain[:-1]), ZERO)
    if len(chain) == 1 or str(last["status"]) in UNCERTAIN or alpaca_state(str(last["status"])) is AlpacaState.REJECTED:
        return False
    prices = (("limit_price", wanted.limit_price), ("stop_price", wanted.stop_price), ("trail_price", wanted.trail_offset))
    return past + amount(last["qty"]) == wanted.quantity and all(price is None or number(last.get(name)) == price for name, price in prices)


def _ending(last: Told) -> tuple[ExecutionReport, ...]:
    state = alpaca_state(str(last["status"]))
    if state is AlpacaState.FILLED:
        return tuple(ExecutionReport(kind=kind, reason="it has traded") for kind in (OrderEventKind.REPLACE_REJECT, OrderEventKind.CANCEL_REJECT))
    kinds = {
        AlpacaState.CANCELED: OrderEventKind.CANCELED,
        AlpacaState.EXPIRED: OrderEventKind.EXPIRED,
        AlpacaState.REJECTED: OrderEventKind.REJECTED,
    }
    return (ExecutionReport(kind=kinds[state], reason=f"Alpaca: {last['status']}"),) if state in kinds else ()


def _execution(fill: Told) -> Execution:
    return Execution(
        execution_id=str(fill["id"]),
        quantity=amount(fill["qty"]),
        price=amount(fill["price"]),
        fee=ZERO,
        market_time=moment(str(fill["transaction_time"])),
        quote={"venue": "Alpaca", "order_id": str(fill["order_id"])},
    )


def _open_order(chain: list[Told]) -> BrokerOpenOrder:
    """A working order as the desk counts it: what was replaced has traded a part of it."""
    last, past = chain[-1], sum((amount(one["filled_qty"]) for one in chain[:-1]), ZERO)
    trails = last.get("type") == ORDER_TYPES[OrderType.TRAILING_STOP]  # its stop moves by itself
    return BrokerOpenOrder(
        reference=reference_of(str(chain[0]["client_order_id"])),
        broker_order_id=str(last["id"]),
        symbol=str(last["symbol"]),
        side=side_of(str(last["side"])),
        quantity=past + amount(last["qty"]),
        cumulative=past + amount(last["filled_qty"]),
        limit_price=number(last.get("limit_price")),
        stop_price=None if trails else number(last.get("stop_price")),
        trail_offset=number(last.get("trail_price")),
    )


def _signed(position: Told) -> Decimal:
    shares = abs(amount(position["qty"]))
    return -shares if position.get("side") == "short" else shares


def _asked(line: AlpacaLine, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
    """An answer that there has to be."""
    try:
        return line.ask(method, path, data)
    except Refused as error:
        raise BrokerTimeout(f"{line.settings} does not answer {path}: {error.text}") from error
