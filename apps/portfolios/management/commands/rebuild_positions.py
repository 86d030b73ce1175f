"""Prove, or restore, that all projections follow from the ledger."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core.commands import CommandResult, DeskCommand, ExitCode
from apps.core.documents import plain
from apps.portfolios.selectors.portfolios import portfolio_by_name, portfolio_names
from apps.portfolios.services.rebuild import Rebuild, positions_rebuild


class Command(DeskCommand):
    """Replays each ledger and compares. Ends with 1 when something differs under --check."""

    help = "Rebuild lots, closures, positions, cash and recorded values from the ledger; compare with what is stored (--check) or put right."

    def add_options(self, parser: CommandParser) -> None:
        """Which portfolio, and whether to write."""
        parser.add_argument("--check", action="store_true", help="compare only, write nothing")
        parser.add_argument("--portfolio", help="name or id; all portfolios without it")

    def run(self, **options: Any) -> CommandResult:
        """Rebuild one portfolio after the other."""
        check, portfolio = options["check"], options["portfolio"]
        names = portfolio_names([portfolio_by_name(portfolio).pk] if portfolio else None)
        self.progress.start(len(names), "rebuilding")
        rebuilds: list[Rebuild] = []
        for portfolio_id in names:
            rebuilds.append(positions_rebuild(portfolio_id=portfolio_id, check=check))
            self.progress.advance()
            if self.progress.cancelled():
                break
        differ = any(rebuild.differences for rebuild in rebuilds)
        return CommandResult(
            data={"portfolios": plain(rebuilds), "differences": sum(len(rebuild.differences) for rebuild in rebuilds)},
            text="\n".join(_lines(names, rebuilds)),
            exit_code=ExitCode.FAILURE if check and differ else ExitCode.OK,
        )


def _lines(names: dict[int, str], rebuilds: list[Rebuild]) -> list[str]:
    lines = []
    for rebuild in rebuilds:
        found = len(rebuild.differences)
        said = "equal to the ledger" if not found else f"{found} differences{', corrected' if rebuild.corrected else ''}"
        lines.append(f"{names[rebuild.portfolio_id]}: {rebuild.entries} entries, {said}")
        lines += [f"  {item.subject} {item.field}: stored {item.stored or '-'}, ledger {item.rebuilt or '-'}" for item in rebuild.differences]
    return lines
