"""Prove that the journal is whole.

    manage.py audit_verify
    manage.py audit_verify --json

Exit 0: clean. 1: broken, with the first bad row and what was done to it (altered, missing, inserted, reordered, truncated).
2: cannot say (no chain, the anchor is lost, the database does not answer).
"""

from typing import Any

from apps.core.commands import CommandResult, DeskCommand
from apps.core.documents import plain
from apps.core.selectors.journal import Verdict, journal_verify

EXIT_CODES = {Verdict.CLEAN: 0, Verdict.BROKEN: 1, Verdict.UNKNOWN: 2}


class Command(DeskCommand):
    help = __doc__

    def run(self, **options: Any) -> CommandResult:
        """Verify; the verdict is the exit code."""
        found = journal_verify()
        return CommandResult(data=plain(found), text=found.summary, exit_code=EXIT_CODES[found.verdict])
