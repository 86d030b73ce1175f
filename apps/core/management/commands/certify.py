"""Prove the desk's arithmetic: run test vectors through the registered measures.

    manage.py certify
    manage.py certify --file my_vectors.json --only risk.var --json

Exit 0: all pass. 1: a number differs. 2: an unknown measure or a malformed vector or file; the others are run all the same.
"""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from apps.core.certification import Outcome, Result, certify_file
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import InvalidInput


def as_text(results: list[Result]) -> str:
    """One line for each vector, and the count."""
    lines = [
        f"{'pass' if r.outcome is Outcome.PASSED else 'FAIL'}  {r.id}  {r.measure}  expected {r.expected}  got {r.got}  tolerance {r.tolerance:g}"
        for r in results
    ]
    passed = sum(result.outcome is Outcome.PASSED for result in results)
    return "\n".join([*lines, f"{passed} passed, {len(results) - passed} failed"])


class Command(DeskCommand):
    help = __doc__

    def add_options(self, parser: CommandParser) -> None:
        """Add the files and the prefix."""
        parser.add_argument("--file", action="append", default=[], metavar="VECTORS.json", help="vectors to run instead of those of the desk")
        parser.add_argument("--only", default="", metavar="PREFIX", help="only vectors whose measure or id begins like this")

    def run(self, **options: Any) -> CommandResult:
        """Run the vectors; the worst outcome is the exit code."""
        shipped = sorted((Path(settings.BASE_DIR) / "fixtures" / "vectors").glob("*.json"))
        files = [Path(name) for name in options["file"]] or shipped
        results: list[Result] = []
        self.progress.start(len(files), "certifying")
        for file in files:
            results += certify_file(file, only=options["only"])
            self.progress.advance()
        if not results:
            raise InvalidInput(f"no vector begins with {options['only']!r}", field="only")
        outcomes = {result.outcome for result in results}
        code = 2 if Outcome.MALFORMED in outcomes else 1 if Outcome.DIFFERS in outcomes else 0
        passed = sum(result.outcome is Outcome.PASSED for result in results)
        data = {"results": [result.as_dict() for result in results], "passed": passed, "failed": len(results) - passed}
        return CommandResult(data=data, text=as_text(results), exit_code=code)
