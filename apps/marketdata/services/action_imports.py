"""Files of splits and dividends into the desk: good lines are stored, every other line is reported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from apps.core.documents import plain
from apps.marketdata.domain.validation import Problem, Rejection
from apps.marketdata.domain.vendor import ActionKind
from apps.marketdata.providers.action_files import ActionLine, BadLine, read_actions
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.services.corporate_actions import LARGEST, PLACES, ActionsReport, actions_store


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionImportReport:
    """What a file did. `stored` is false for one that --strict refused as a whole."""

    file: str
    stored: bool
    actions: ActionsReport
    rejected: tuple[Rejection, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return dict(plain(self))


def actions_import(*, file: Path, source: str, recorded_at: datetime, split_adjusted: bool = False, strict: bool = False) -> ActionImportReport:
    """Store the good lines of a CSV file; with `strict` one bad line refuses them all.

    With `split_adjusted` the file tells dividends in shares of its last day (as Yahoo Finance does): they are multiplied by the
    splits of the same file that came later, which gives what was paid.

    Raises InvalidInput for a file that cannot be read or lacks a column, before anything is stored.
    """
    lines = list(read_actions(file))
    good = [line for line in lines if isinstance(line, ActionLine)]
    rejected = [_rejection(file, line) for line in lines if isinstance(line, BadLine)]
    good, worse = _checked(file, good)
    rejected = sorted((*rejected, *worse), key=lambda item: item.line)
    if strict and rejected:
        nothing = ActionsReport(inserted=0, revised=0, unchanged=0, quarantined=())
        return ActionImportReport(file=str(file), stored=False, actions=nothing, rejected=tuple(rejected))
    records = [line.record for line in (_as_paid(good) if split_adjusted else good)]
    report = actions_store(records=records, source=source, recorded_at=recorded_at)
    return ActionImportReport(file=str(file), stored=True, actions=report, rejected=tuple(rejected))


def _rejection(file: Path, line: BadLine) -> Rejection:
    code = {"": Problem.MALFORMED_LINE, "date": Problem.NOT_A_TIME, "action": Problem.NOT_AN_ACTION, "symbol": Problem.UNKNOWN_SYMBOL}
    return Rejection(file=str(file), line=line.line, column=line.column, code=code.get(line.column, Problem.NOT_A_NUMBER), text=line.text)


def _checked(file: Path, lines: Sequence[ActionLine]) -> tuple[list[ActionLine], list[Rejection]]:
    """The lines that can be stored, and the faults of the others."""
    known = instruments_known({line.record.symbol for line in lines})
    splits: dict[tuple[str, date], Decimal] = {}
    good: list[ActionLine] = []
    bad = []
    for line in lines:
        record = line.record
        if fault := _fault(line, record.symbol in known, splits):
            column, code, text = fault
            bad.append(Rejection(file=str(file), line=line.line, column=column, code=code, text=text))
        else:
            good.append(line)
            if record.kind is ActionKind.SPLIT:
                splits[record.symbol, record.ex_date] = record.value
    return good, bad


def _fault(line: ActionLine, known: bool, splits: dict[tuple[str, date], Decimal]) -> tuple[str, Problem, str] | None:
    record = line.record
    if not known:
        return "symbol", Problem.UNKNOWN_SYMBOL, f"there is no instrument {record.symbol!r}"
    if len(record.currency) != 3:
        return "currency", Problem.NOT_A_CURRENCY, f"{record.currency!r} is no currency"
    if not PLACES / 2 < record.value < LARGEST:
        return "value", Problem.NOT_A_NUMBER, f"{record.value} is out of range"
    before = splits.get((record.symbol, record.ex_date))
    if record.kind is ActionKind.SPLIT and before not in (None, record.value):
        return "value", Problem.DUPLICATE, f"a split of {before} stands on the same day before"
    return None


def _as_paid(lines: Sequence[ActionLine]) -> list[ActionLine]:
    splits = [line.record for line in lines if line.record.kind is ActionKind.SPLIT]
    result = []
    for line in lines:
        record = line.record
        if record.kind is ActionKind.DIVIDEND:
            for later in splits:
                if later.symbol == record.symbol and later.ex_date > record.ex_date:
                    record = replace(record, value=record.value * later.value)
        result.append(replace(line, record=record))
    return result
