"""Prove that the journal is whole.

    manage.py audit_verify
    manage.py audit_verify --json

Exit 0: clean. 1: broken, with the first bad row and what was done to it (altered, missing, inserted, reordered, truncated).
2: cannot say (no chain, the anchor is lost, the database does not answer).
"""

from typing import Any

from apps.core.commands import CommandResult, DeskCommand
from apps.core.documents import plain
from apps.core.selectors.journal import Verdict, Verification, journal_verify

EXIT_CODES = {Verdict.CLEAN: 0, Verdict.BROKEN: 1, Verdict.UNKNOWN: 2}


def as_text(found: Verification) -> str:
    """One or two lines for people."""
    if found.verdict is Verdict.UNKNOWN:
        return f"Cannot say: {found.reason}"
    if found.finding is None:
        anchored = f", anchored as far as {found.anchored_seq}" if found.anchored_seq is not None else ", nothing anchored yet"
        return f"Clean: {found.seq} sealed entries{anchored}. Head {found.hash}"
    place = f"link {found.finding.seq}" if found.finding.seq is not None else "not sealed yet"
    entry = f", entry {found.finding.entry_id}" if found.finding.entry_id is not None else ""
    return f"Broken: {found.finding.kind} ({place}{entry}): {found.finding.detail}. Good as far as link {found.seq}."


class Command(DeskCommand):
    help = __doc__

    def run(self, **options: Any) -> CommandResult:
        """Verify; the verdict is the exit code."""
        found = journal_verify()
        return CommandResult(data=plain(found), text=as_text(found), exit_code=EXIT_CODES[found.verdict])
