"""Compute a stored feature set over stored bars, as an aligned matrix.

manage.py compute_features momentum_v1 --symbols AAPL,MSFT --start 2010-01-04 --end 2012-12-31 --output features.parquet
manage.py compute_features momentum_v1:2 --symbols AAPL --start 2010-01-04 --end 2010-12-31 --json

The file has one row per time and symbol and one column per feature; what it was computed from stands in its metadata.
"""

import os
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core.clock import now
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import InvalidInput
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.features import FeatureMatrix
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import visible_until
from apps.marketdata.selectors.features import feature_set_get
from apps.marketdata.services.features import feature_matrix


class Command(DeskCommand):
    """Records no job: nothing is stored but the cache, which is found again by what it was computed from."""

    def add_options(self, parser: CommandParser) -> None:
        """Declare the set, the range and the file."""
        parser.add_argument("set", help="name of a stored set, or name:version")
        parser.add_argument("--symbols", required=True, help="comma separated")
        parser.add_argument("--start", required=True, metavar="DATE")
        parser.add_argument("--end", metavar="DATE", help="inclusive; never later than the market's time")
        parser.add_argument("--timeframe", default="1d")
        parser.add_argument("--adjustment", default=Adjustment.SPLIT.value, help=", ".join(Adjustment))
        parser.add_argument("--as-of", metavar="TIME", help="from what the desk knew then: 2026-01-05T12:00:00Z")
        parser.add_argument("--benchmark", default="", metavar="SYMBOL")
        parser.add_argument("--output", metavar="FILE.parquet")

    def run(self, **options: Any) -> CommandResult:
        """Compute, write the file, and say how much of it is filled."""
        timeframe = Timeframe.parse(options["timeframe"])
        output = _output(options["output"])
        matrix = feature_matrix(
            symbols=[symbol.strip() for symbol in options["symbols"].split(",") if symbol.strip()],
            timeframe=timeframe,
            start=_day(options["start"], "start"),
            end=visible_until(now(), timeframe=timeframe, end=_day(options["end"], "end") if options["end"] else None),
            feature_set=feature_set_get(options["set"]),
            adjustment=Adjustment.parse(options["adjustment"]),
            as_of=_moment(options["as_of"]),
            benchmark=options["benchmark"],
        )
        if output is not None:
            _write(matrix, output)
        filled = {name: float(matrix.mask[:, :, at].mean()) if matrix.values.size else 0.0 for at, name in enumerate(matrix.features)}
        data = {
            "set": options["set"],
            "version": matrix.version,
            "dataset": matrix.dataset,
            "rows": len(matrix.ts),
            "symbols": matrix.symbols,
            "features": filled,
            "output": output,
        }
        lines = [f"{name:30} {share:7.1%} filled" for name, share in filled.items()]
        head = (
            f"{len(matrix.ts)} times, {len(matrix.symbols)} symbols, {len(filled)} features; data {matrix.dataset[:12]}, code {matrix.version[:12]}"
        )
        return CommandResult(data=data, text="\n".join([head, *lines, *([f"written to {output}"] if output else [])]))


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-12-31", field=field) from error


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no time like 2026-01-05T12:00:00Z", field="as_of") from error
    if moment.tzinfo is None:
        raise InvalidInput(f"{text!r} has no time zone", field="as_of")
    return moment


def _output(text: str | None) -> Path | None:
    if text is None:
        return None
    path = Path(text)
    if path.suffix != ".parquet" or not path.parent.is_dir():
        raise InvalidInput(f"{text} is no .parquet file in a folder that exists", field="output")
    return path


def _write(matrix: FeatureMatrix, path: Path) -> None:
    """Write beside and rename, so that an interruption leaves the file of before."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(matrix.frame().reset_index(), preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), "dataset": matrix.dataset, "version": matrix.version})
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    os.close(handle)
    try:
        pq.write_table(table, name)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
