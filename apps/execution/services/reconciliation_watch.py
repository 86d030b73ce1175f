"""When a broker's process reconciles its accounts: at its start, on a new line, soon after fills, and when it is told to."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from apps.alerts.services import alert_raise
from apps.core.errors import Unavailable
from apps.core.models import JobRun
from apps.execution.brokers.paper import PAPER
from apps.execution.brokers.protocol import KeepsBooks
from apps.execution.models import BrokerageAccount, Fill, ReconciliationRun
from apps.execution.models import ReconciliationTrigger as Trigger
from apps.execution.services.outbox import tell
from apps.execution.services.reconciliation import account_reconcile
from apps.execution.services.routing import paper_broker
from apps.portfolios.selectors.portfolios import portfolio_members

#: How soon after a comparison a fill leads to another one. One that is slow is made less often: it takes a twentieth of the time at most.
AFTER_FILLS = timedelta(seconds=10)
SHARE_OF_TIME = 20
LOOK_EVERY = timedelta(seconds=1)
#: Who asks waits for the answer. Everything else is put off while it has been done a moment ago, or while fills are on their way.
ASKED = (Trigger.REQUEST, Trigger.BEAT)
#: What a process is told to compare an account: this, why, and the account's number.
WORD = "reconcile"
#: The job that asks for everything, what its result says of an account that it handed on to a broker's process, and how long that may take.
SCHEDULE = "execution.reconcile"
HANDED_ON = "asked"
ANSWER_WITHIN = timedelta(minutes=5)


class ReconciliationWatch:
    """`step` reconciles what is due. `brokers` gives the adapters that can be asked now, by account number."""

    def __init__(self, name: str, brokers: Callable[[], Mapping[str, KeepsBooks]], *, settle: Callable[[], bool] | None = None) -> None:
        self._name, self._brokers, self._settle = name, brokers, settle
        self._all: Trigger | None = None
        self._due: dict[str, Trigger] = {}
        self._not_before: dict[str, datetime] = {}
        self._looked_at: datetime | None = None
        self._last_fill = 0

    def all_due(self, trigger: Trigger) -> None:
        """Every account is compared at the next step."""
        self._all = trigger

    def hear(self, words: Collection[str]) -> None:
        """Words of the outbox: those that ask for a comparison are kept, the others are for whoever sends orders."""
        for word in words:
            name, _, rest = word.partition(" ")
            trigger, _, number = rest.partition(" ")
            if name == WORD and trigger in Trigger.values and number:
                self._due[number] = Trigger(trigger)

    def step(self, *, at: datetime) -> list[ReconciliationRun]:
        """Compare the accounts that are due now."""
        asked = self._all is not None or any(trigger in ASKED for trigger in self._due.values())
        if not asked and self._looked_at is not None and at - self._looked_at < LOOK_EVERY:
            return []
        self._look(at)
        brokers = self._brokers()
        if self._all is not None:
            self._due |= dict.fromkeys(brokers, self._all)
            self._all = None
        ready = {number: why for number, why in self._due.items() if why in ASKED or at >= self._not_before.get(number, at)}
        self._due = {number: why for number, why in self._due.items() if number not in ready}
        if not ready:
            return []
        accounts = BrokerageAccount.objects.filter(broker=self._name, number__in=[number for number in ready if number in brokers])
        runs = [
            self._run(account, brokers[account.number], ready[account.number], at) for account in accounts.select_related("portfolio").order_by("id")
        ]
        return [run for run in runs if run is not None]

    def _look(self, at: datetime) -> None:
        """Which accounts have traded since the last look. At the first one nothing: a start compares everything."""
        fills = (
            Fill.objects.order_by("-id")
            if self._looked_at is None
            else Fill.objects.filter(broker=self._name, id__gt=self._last_fill).order_by("-id")
        )
        if self._looked_at is None:
            self._last_fill = fills.values_list("id", flat=True).first() or 0
        else:
            found = list(fills.values_list("id", "order__account__number"))
            self._last_fill = found[0][0] if found else self._last_fill
            for _, number in found:
                self._due.setdefault(number, Trigger.FILL)
        self._looked_at = at

    def _run(self, account: BrokerageAccount, broker: KeepsBooks, trigger: Trigger, at: datetime) -> ReconciliationRun | None:
        began = time.monotonic()
        run = account_reconcile(account=account, broker=broker, trigger=trigger, at=at, settle=self._settle)
        if run is None:
            self._due.setdefault(account.number, trigger)
        pause = LOOK_EVERY if run is None else AFTER_FILLS
        self._not_before[account.number] = at + max(pause, timedelta(seconds=SHARE_OF_TIME * (time.monotonic() - began)))
        return run


def paper_brokers() -> dict[str, KeepsBooks]:
    """The paper broker of every paper account, by its number."""
    accounts = BrokerageAccount.objects.filter(broker=PAPER).select_related("portfolio").order_by("id")
    return {account.number: paper_broker(account) for account in accounts}


def reconcile_ask(*, account: BrokerageAccount, trigger: Trigger, at: datetime) -> ReconciliationRun | None:
    """Compare an account now where this process can; else tell the broker's process, which holds the line, to do it (None)."""
    if account.broker == PAPER:
        return account_reconcile(account=account, broker=paper_broker(account), trigger=trigger, at=at)
    tell(account.broker, f"{WORD} {trigger} {account.number}")
    return None


def reconcile_answered(*, account: BrokerageAccount, after: int, seconds: float, stop: Callable[[], bool] = lambda: False) -> ReconciliationRun:
    """The first run of the account after the one with that id, waiting for it. Raises Unavailable when none comes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not stop():
        run = ReconciliationRun.objects.filter(account=account, id__gt=after).order_by("id").first()
        if run is not None:
            return run
        time.sleep(0.1)
    raise Unavailable(f"the process that holds the line to {account.broker} has not compared account {account.number}: is it running?")


def silence_tell(*, at: datetime) -> None:
    """Tell people of brokers whose process has not compared what the schedule asked it to compare the last time.

    Once: not of those that had not answered the time before either. The answer to a request of the last `ANSWER_WITHIN` may be on its way.
    """
    runs = JobRun.objects.filter(job=SCHEDULE, result__isnull=False).order_by("-id")
    told = [(run.scheduled_for or run.created_at, (run.result or {}).get("accounts", {})) for run in runs[:3]]
    unanswered = [_unanswered(*one) for one in told if one[0] <= at - ANSWER_WITHIN]
    silent = frozenset[int]().union(*unanswered[:1]).difference(*unanswered[1:2])
    for broker, accounts in groupby(BrokerageAccount.objects.filter(pk__in=silent).order_by("broker", "id"), key=attrgetter("broker")):
        _silence_alert(broker, list(accounts), at)


def _unanswered(since: datetime, states: Mapping[str, str]) -> frozenset[int]:
    """Accounts that were asked for at that time, and that nobody has compared since."""
    asked = BrokerageAccount.objects.filter(number__in=[number for number, state in states.items() if state == HANDED_ON])
    return frozenset(asked.exclude(reconciliations__recorded_at__gte=since).values_list("id", flat=True))


def _silence_alert(broker: str, accounts: Sequence[BrokerageAccount], at: datetime) -> None:
    numbers = ", ".join(account.number for account in accounts)
    alert_raise(
        code="BROKER_SILENT",
        severity="critical",
        title=f"The process that talks to {broker} does not answer",
        detail=f"It was asked to compare {numbers}, and has not. Orders may wait unsent: is it running, and has it a line?",
        subject=f"broker:{broker}",
        data={"accounts": [account.number for account in accounts]},
        recipients={member for account in accounts for member in portfolio_members(account.portfolio_id)},
        occurred_at=at,
        recorded_at=at,
        key=f"broker_silent:{broker}",
    )
