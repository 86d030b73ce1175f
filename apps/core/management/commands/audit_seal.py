"""Seal the journal now, as the beat job does every ten seconds.

manage.py audit_seal
manage.py audit_seal --new-anchor     # the anchor is lost for good: begin another at the present head
"""

from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.documents import plain
from apps.core.services.journal import anchor_renew, journal_seal


class Command(DeskCommand):
    help = __doc__

    def add_options(self, parser: CommandParser) -> None:
        """Add --new-anchor."""
        parser.add_argument("--new-anchor", action="store_true", help="begin a new anchor file; refused while there is one")

    def run(self, **options: Any) -> CommandResult:
        """Seal and say where the chain ends."""
        if options["new_anchor"]:
            anchor = anchor_renew(at=clock.now())
            return CommandResult(data=plain(anchor), text=f"New anchor at link {anchor.seq}.")
        report = journal_seal(at=clock.now())
        return CommandResult(data=plain(report), text=f"Sealed {report.entries} entries; the chain ends at link {report.seq}, {report.hash}")
