"""Files of splits and dividends, every row with its line. Columns: symbol, date, action, and one of value or ratio; currency if it is there."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from apps.core.errors import InvalidInput
from apps.marketdata.domain.vendor import ActionKind, ActionRecord

#: Our name -> names in files, compared in lower case.
NAMES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker"),
    "date": ("date", "ex_date", "exdate"),
    "action": ("action", "kind", "type"),
    "value": ("value", "ratio_new_per_old", "ratio", "amount"),
    "currency": ("currency",),
}
NEEDED = ("symbol", "date", "action", "value")
DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLine:
    """A line of a file that is an action."""

    line: int
    record: ActionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that is none: in which column, and what is wrong."""

    line: int
    column: str
    text: str


def read_actions(path: Path) -> Iterator[ActionLine | BadLine]:
    """The lines of a CSV or CSV.gz file. Raises InvalidInput, naming the file, when it cannot be read or a column is missing."""
    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = max(DELIMITERS, key=first.count)
            titles = next(csv.reader([first], delimiter=delimiter), [])
            position = _positions(path, titles)
            rows = csv.reader(file, delimiter=delimiter)
            for row in rows:
                if row:
                    yield _line(rows.line_num + 1, row, len(titles), position)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}", field="file") from error


def _positions(path: Path, titles: list[str]) -> dict[str, int]:
    plain = [title.strip().lower() for title in titles]
    position = {name: plain.index(found) for name, known in NAMES.items() if (found := next((title for title in known if title in plain), None))}
    if missing := [name for name in NEEDED if name not in position]:
        raise InvalidInput(f"{path}: no column {', '.join(missing)} among {', '.join(titles) or 'nothing'}", field="file")
    return position


def _line(line: int, row: list[str], width: int, position: dict[str, int]) -> ActionLine | BadLine:
    if len(row) != width:
        return BadLine(line=line, column="", text=f"{len(row)} columns instead of {width}")
    cell = {name: row[at].strip() for name, at in position.items()}
    if not cell["symbol"]:
        return BadLine(line=line, column="symbol", text="there is no symbol")
    if cell["action"].lower() not in list(ActionKind):
        return BadLine(line=line, column="action", text=f"{cell['action']!r} is none of {', '.join(ActionKind)}")
    try:
        day = date.fromisoformat(cell["date"])
    except ValueError:
        return BadLine(line=line, column="date", text=f"{cell['date']!r} is no date like 2012-01-03")
    try:
        value = Decimal(cell["value"])
    except InvalidOperation:
        return BadLine(line=line, column="value", text=f"{cell['value']!r} is no number")
    if not value.is_finite() or value <= 0:
        return BadLine(line=line, column="value", text=f"{cell['value']} is not above zero")
    kind = ActionKind(cell["action"].lower())
    return ActionLine(
        line=line, record=ActionRecord(symbol=cell["symbol"], kind=kind, ex_date=day, value=value, currency=cell.get("currency") or "USD")
    )
