from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.documents import plain
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.risk.domain.scenarios import ScenarioOutcome
from apps.risk.selectors.stress import StressReport, stress_report


class Command(DeskCommand):
    help = """What the desk's scenarios would do to a portfolio as it stands, with its positions at the latest prices.

    manage.py stress Alpha
    manage.py stress Alpha --scenario 2007-2009 --scenario equity-20-down --json

    Coverage is the share of gross value that a scenario says something about; what it leaves out is listed. Ends with 0 when every scenario
    has a number, with 3 when some have none (a price or all history is missing), with 1 when none has, and with 2 for an unknown name.
    """

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("portfolio", metavar="PORTFOLIO", help="name or id")
        parser.add_argument("--scenario", action="append", default=[], metavar="NAME", help="only this one, active or not; may be repeated")

    def run(self, **options: Any) -> CommandResult:
        portfolio = portfolio_by_name(options["portfolio"])
        report = stress_report(portfolio_id=portfolio.pk, now=clock.now(), names=options["scenario"])
        return CommandResult(data={"portfolio": portfolio.name, **plain(report)}, text=_table(portfolio.name, report), exit_code=_exit_code(report))


def _exit_code(report: StressReport) -> ExitCode:
    without = [outcome for outcome in report.outcomes if outcome.pnl is None]
    if not without:
        return ExitCode.OK
    return ExitCode.FAILURE if len(without) == len(report.outcomes) else ExitCode.PARTIAL


def _table(name: str, report: StressReport) -> str:
    equity = "unknown" if report.equity is None else f"{report.equity:,.2f} {report.currency}"
    lines = [f"{name}, equity {equity}, market time {report.market_time:%Y-%m-%d %H:%M} UTC", ""]
    lines.append(f"{'scenario':<24}{f'P&L {report.currency}':>18}{'of equity':>11}{'coverage':>10}  worst position")
    for outcome in report.outcomes:
        pnl = "-" if outcome.pnl is None else f"{outcome.pnl:,.2f}"
        share = "-" if outcome.fraction is None else f"{100 * outcome.fraction:+.2f} %"
        lines.append(f"{outcome.name:<24}{pnl:>18}{share:>11}{100 * outcome.coverage:>8.1f} %  {_remark(outcome)}")
    return "\n".join(lines)


def _remark(outcome: ScenarioOutcome) -> str:
    """The worst position, and whatever makes the number worth less."""
    parts = []
    if outcome.by_symbol:
        symbol, loss = min(outcome.by_symbol.items(), key=lambda item: (item[1], item[0]))
        parts.append(f"{symbol} {loss:,.2f}")
    if outcome.distance is not None:
        parts.append(f"{outcome.distance:.1f} daily standard deviations away")
    if outcome.pnl is None:
        parts.append(outcome.state.value.replace("_", " "))
    for words, symbols in (("proxied", outcome.proxied), ("left out", outcome.excluded), ("no price", outcome.unpriced)):
        if symbols:
            parts.append(f"{words}: {', '.join(symbols)}")
    return "; ".join([*parts, *([outcome.note] if outcome.note else [])])
