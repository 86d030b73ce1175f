"""Put the rows of archive files back into the database, exactly as they were.

manage.py archive_restore var/archive/ticks/ticks_20231201T0000_20240101T0000_1a2b3c4d.json
manage.py archive_restore var/archive/bars/*.json --json

The file must be the one that its manifest describes; when one of its rows is in the database already, nothing of it is restored.
"""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core.commands import CommandResult, DeskCommand
from apps.marketdata.services.archives import archive_restore


class Command(DeskCommand):
    records_job = True

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("manifests", nargs="+", type=Path, metavar="MANIFEST", help=".json beside the .parquet file")

    def run(self, **options: Any) -> CommandResult:
        restored = {}
        self.progress.start(len(options["manifests"]), "restoring")
        for manifest in options["manifests"]:
            if self.progress.cancelled():
                break
            restored[str(manifest)] = archive_restore(manifest=manifest)
            self.progress.advance()
        lines = [f"{name}: {rows} rows restored" for name, rows in restored.items()]
        return CommandResult(data={"restored": restored}, text="\n".join(lines))
