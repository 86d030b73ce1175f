"""Compare what the desk believes of its accounts with what their brokers say."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.documents import plain
from apps.core.errors import NotFound
from apps.execution.models import BrokerageAccount, ReconciliationRun, ReconciliationState, ReconciliationTrigger
from apps.execution.selectors.reconciliation import break_row, breaks_open, last_run
from apps.execution.services.reconciliation_watch import reconcile_answered, reconcile_ask


class Command(DeskCommand):
    """Asks the broker where this process can, and otherwise whoever holds the line."""

    help = """Compare orders, executions, positions and cash of one account, or of all, with its broker's books.

Executions that the desk has missed are booked. What the books differ in afterwards is a break, and stays open until a later comparison does
not find it or a person resolves it. Accounts at a gateway are compared by its process (run_broker), which has to be running.
Ends with 0 when the books agree, 1 with open breaks, 5 when a broker could not be asked.

Examples:
  manage.py reconcile
  manage.py reconcile DU1234567 --json"""

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("account", nargs="?", default="", help="the account's number (default: all accounts)")
        parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for a broker's process (default 30)")

    def run(self, **options: Any) -> CommandResult:
        """One account after the other."""
        accounts = BrokerageAccount.objects.select_related("portfolio").order_by("id")
        if options["account"]:
            accounts = accounts.filter(number=options["account"])
            if not accounts:
                raise NotFound(f"there is no account {options['account']!r}", field="account")
        done = [self._account(account, options["wait"]) for account in accounts if not self.progress.cancelled()]
        states = {item["state"] for item in done}
        code = ExitCode.OK
        if ReconciliationState.BREAKS in states:
            code = ExitCode.FAILURE
        if ReconciliationState.FAILED in states:
            code = ExitCode.DEPENDENCY
        return CommandResult(data={"accounts": done}, text="\n".join(_lines(done)), exit_code=code)

    def _account(self, account: BrokerageAccount, seconds: float) -> dict[str, Any]:
        before = last_run(account.pk)
        run = reconcile_ask(account=account, trigger=ReconciliationTrigger.REQUEST, at=clock.now())
        if run is None:
            run = reconcile_answered(account=account, after=before.pk if before else 0, seconds=seconds, stop=self.progress.cancelled)
        return _shown(account, run)


def _shown(account: BrokerageAccount, run: ReconciliationRun) -> dict[str, Any]:
    return {
        "account": account.number,
        "broker": account.broker,
        "portfolio_id": account.portfolio_id,
        "run_id": run.pk,
        "state": str(run.state),
        "detail": run.detail,
        "compared": run.compared,
        "booked_fills": run.booked_fills,
        "started_at": plain(run.started_at),
        "breaks": [break_row(row) for row in breaks_open(account.pk)],
    }


def _lines(done: list[dict[str, Any]]) -> list[str]:
    lines = []
    for item in done:
        booked = f", {item['booked_fills']} missed executions booked" if item["booked_fills"] else ""
        lines.append(f"{item['account']} ({item['broker']}): {item['state']}{booked}{': ' + item['detail'] if item['detail'] else ''}")
        for row in item["breaks"]:
            halts = ", nothing new is opened" if row["halts"] else ""
            lines.append(
                f"  {row['id']} {row['kind']} {row['subject']} {row['key']}: ours {row['ours'] or '-'}, theirs {row['theirs'] or '-'}{halts}"
            )
    return lines or ["there is no account"]
