"""The account's step of the gate (domain.md A1): whether the day-trading regime of the brokerage account lets an order through. Pure.

Closing what was held overnight always passes. Closing what was opened the same day is a day trade, and one too many is denied, unless it
protects: a stop, or an order by which the desk leaves a position on its own. That one passes with a warning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Final

from apps.compliance.domain.day_trades import PATTERN_COUNT, Fill, day_trades, held_before, is_pattern, most_day_trades, window_begins
from apps.compliance.domain.intraday_margin import worst_level
from apps.compliance.domain.regimes import IML, AccountTerms, AccountType
from apps.core.trading import Check, OrderIntent, Outcome, Side, WorkingOrder, closable_quantity

ZERO: Final = Decimal(0)
#: Equity that a pattern day trader must have at the close before [USD].
LEAST_EQUITY: Final = Decimal(25_000)
#: The rules' amounts are in this currency.
DOLLAR: Final = "USD"
UNIT: Final = "day trades"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """What is known of the account on the exchange `day` on which the order trades.

    `fills` are those of the window's five days, in order of time, with instrument ids; `equity` is that at the last close before `day` in the
    portfolio's currency (None: not recorded). Neither is read where the pattern day trader rule does not hold. `cash`, signed quantities `held`
    of all books and prices by instrument id are in the portfolio's currency, `book_held` is of the order's book and instrument. `protects`: it
    is one of the orders by which the desk leaves a position on its own.
    """

    terms: AccountTerms
    day: date
    fills: Sequence[Fill] = ()
    equity: Decimal | None = None
    cash: Decimal = ZERO
    held: Mapping[int, Decimal]
    book_held: Decimal = ZERO
    prices: Mapping[int, Decimal]
    protects: bool = False


@dataclass(frozen=True, kw_only=True)
class _Case:
    intent: OrderIntent
    working: Sequence[WorkingOrder]
    account: AccountFacts
    currency: str | None

    @cached_property
    def reduces(self) -> bool:
        """It only closes what is held, whatever else trades before it."""
        held = self.account.held.get(self.intent.instrument_id, ZERO)
        closable = closable_quantity(self.intent, held=held, book_held=self.account.book_held, working_orders=self.working)
        return self.intent.quantity <= closable

    @property
    def protects(self) -> bool:
        """It only closes, and somebody who is in a falling market needs it."""
        kind = self.intent.order_type
        return self.reduces and (self.account.protects or kind.has_stop or kind.has_trail)

    @property
    def equity(self) -> Decimal | None:
        """At the last close [USD]; None where it is not recorded, or is in another currency."""
        return self.account.equity if self.currency in (None, DOLLAR) else None

    @property
    def may(self) -> list[tuple[int, Decimal]]:
        """Instruments and signed quantities of the orders that may trade beside this one."""
        return [(order.instrument_id, order.side.sign * order.leaves) for order in self.working]

    @property
    def own(self) -> tuple[int, Decimal]:
        """The same of this order."""
        return self.intent.instrument_id, self.intent.signed_quantity

    @cached_property
    def traded(self) -> int:
        """Day trades of the window so far."""
        fills = self.account.fills
        return sum(day_trades(fills, held_before(fills, self.account.held)).values())

    @cached_property
    def designated(self) -> bool:
        """A pattern day trader's, by what is stored or by what has traded in the window."""
        since = self.account.terms.designated_on
        return (since is not None and since <= self.account.day) or is_pattern(self.account.fills, self.traded)

    def at_most(self, orders: Sequence[tuple[int, Decimal]]) -> int:
        """Day trades of the window when these orders trade today as well, in the order that makes most of them."""
        day, by_instrument = self.account.day, dict[int, list[Fill]]()
        for place, (instrument, quantity) in enumerate(orders):
            pending = Fill(security=instrument, quantity=quantity, day=day, order=f"pending {place}")
            by_instrument.setdefault(instrument, []).append(pending)
        today = [fill for fill in self.account.fills if fill.day == day]
        overnight, count = held_before(today, self.account.held), self.traded
        for instrument, pending_orders in by_instrument.items():
            done = [fill for fill in today if fill.security == instrument]
            held = overnight.get(instrument, ZERO)
            count += most_day_trades(done, pending_orders, held) - most_day_trades(done, (), held)
        return count


def account_checks(*, intent: OrderIntent, working: Sequence[WorkingOrder], account: AccountFacts, currency: str | None) -> list[Check]:
    """The checks of each rule that holds for the account on its day; one that passes and says so where none holds.

    `currency` is the portfolio's, None where the user may not trade in it. A number that a check needs and that is not known is CHECK_FAILED.
    """
    rules = account.terms.rules(account.day)
    if not rules:
        cash = account.terms.account_type is AccountType.CASH
        why = "A cash account: no day-trading rule concerns it" if cash else f"No day-trading rule was in force on {account.day}"
        return [Check(code="DAY_TRADE_LIMIT", outcome=Outcome.PASS, message=why)]
    case = _Case(intent=intent, working=working, account=account, currency=currency)
    checks = [*_day_trades(case)] if set(rules) - {IML} else []
    return [*checks, _intraday_level(case), _freeze(case)] if IML in rules else checks


def _day_trades(case: _Case) -> list[Check]:
    before, after = case.at_most(case.may), case.at_most([*case.may, case.own])
    # Alone: a resting stop, which passes, makes no room for an order that closes the same purchase at once; and what closes an overnight position
    # passes although a purchase that waits might trade before it.
    adds = case.at_most([case.own]) > case.traded or (after > before and not case.reduces)
    over = adds and after >= PATTERN_COUNT
    opens = case.designated and not case.reduces
    checks = [_count(case, before, after, over=over), _least_equity(case, adds=adds)]
    if case.equity is None and (over or opens or (case.designated and adds)):
        why = f"Equity in {DOLLAR} at the last close before {case.account.day} is not known, and the pattern day trader rule needs it"
        checks.append(Check(code="CHECK_FAILED", outcome=Outcome.WARN if case.protects else Outcome.BLOCK, message=why))
    return checks


def _count(case: _Case, before: int, after: int, *, over: bool) -> Check:
    equity = case.equity
    poor = equity is not None and equity < LEAST_EQUITY
    window = f"in the five business days from {window_begins(case.account.day)}"
    if over and poor and equity is not None:
        outcome = Outcome.WARN if case.protects else Outcome.BLOCK
        message = f"It may be day trade {after} {window}, and equity was {equity:,.2f} at the last close, below {LEAST_EQUITY:,}"
        message += ": it protects a position, and passes" if case.protects else ""
    elif after >= PATTERN_COUNT - 1 and not case.designated:
        outcome, message = Outcome.WARN, f"{after} day trades {window}, working orders counted: the fourth needs {LEAST_EQUITY:,} of equity"
    else:
        outcome, message = Outcome.PASS, f"{after} day trades {window}, working orders counted"
    return Check(
        code="DAY_TRADE_LIMIT",
        outcome=outcome,
        message=message,
        unit=UNIT,
        limit=Decimal(PATTERN_COUNT - 1),
        before=Decimal(before),
        after=Decimal(after),
    )


def _least_equity(case: _Case, *, adds: bool) -> Check:
    """A pattern day trader below the least equity opens nothing, and closes what makes no day trade."""
    equity = case.equity
    poor = case.designated and equity is not None and equity < LEAST_EQUITY
    outcome = Outcome.PASS
    if not case.designated:
        message = "The account is no pattern day trader's"
    elif equity is None:
        message = "The account is a pattern day trader's"
    elif not poor:
        message = f"The account is a pattern day trader's, and equity was {equity:,.2f} at the last close"
    else:
        message = f"The account is a pattern day trader's, and equity was {equity:,.2f} at the last close, below {LEAST_EQUITY:,}"
        if case.protects and adds:
            outcome, message = Outcome.WARN, f"{message}: it protects a position, and passes"
        elif adds or not case.reduces:
            outcome = Outcome.BLOCK
        else:
            message = f"{message}: it closes what is held and makes no day trade, and passes"
    return Check(
        code="DAY_TRADE_EQUITY",
        outcome=outcome,
        message=message,
        unit=DOLLAR,
        limit=LEAST_EQUITY if case.designated else None,
        before=equity,
        after=equity,
    )


def _intraday_level(case: _Case) -> Check:
    """What trades beside it counts where it lowers the level. An order that lowers nothing passes, however low the level is."""
    account = case.account
    try:
        before = worst_level(cash=account.cash, held=account.held, prices=account.prices, may=case.may)
        after = worst_level(cash=account.cash, held=account.held, prices=account.prices, may=[*case.may, case.own])
    except KeyError:
        text = "Intraday margin is not known while a price is missing"
        outcome = Outcome.PASS if case.reduces else Outcome.BLOCK
        return Check(code="INTRADAY_MARGIN", outcome=outcome, message=f"{text}: it closes what is held" if case.reduces else text)
    blocked = after < 0 and after < before
    if blocked:
        message = f"The account would be short of {-after:,.2f} of intraday margin"
    elif after < 0:
        message = f"The account is short of {-after:,.2f} of intraday margin, and the order does not add to it"
    else:
        message = "Intraday margin is there, working orders counted"
    return Check(
        code="INTRADAY_MARGIN",
        outcome=Outcome.BLOCK if blocked else Outcome.PASS,
        message=message,
        unit=DOLLAR,
        limit=ZERO,
        before=before,
        after=after,
    )


def _freeze(case: _Case) -> Check:
    """While the account is frozen no short position and no debit is opened or increased."""
    until = case.account.terms.frozen_until
    if until is None or case.account.day > until:
        return Check(code="INTRADAY_FREEZE", outcome=Outcome.PASS, message="The account is not frozen")
    spent = sum((quantity * case.account.prices.get(key, ZERO) for key, quantity in [*case.may, case.own] if quantity > 0), ZERO)
    debit = case.intent.side is Side.BUY and case.account.cash < spent
    blocked = not case.reduces and (debit or case.intent.side is Side.SELL)
    what = "opens or increases a short position or a debit" if blocked else "neither opens nor increases a short position or a debit"
    message = f"The account is frozen until {until} for intraday deficits that were not met, and the order {what}"
    return Check(code="INTRADAY_FREEZE", outcome=Outcome.BLOCK if blocked else Outcome.PASS, message=message)
