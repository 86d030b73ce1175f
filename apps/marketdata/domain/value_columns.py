"""What files of single values call their columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.errors import InvalidInput
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.vendor_columns import ADJUSTED, NAMES, plain_title

CLOSE_NAMES = {CloseKind.NONE: (*NAMES["close"], "value"), CloseKind.TOTAL_RETURN: (*sorted(ADJUSTED), "totalreturn", "value")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseColumns:
    """Positions of the columns of a file of closes; `symbol` is None where the file has none."""

    date: int
    close: int
    symbol: int | None


def map_close_columns(header: Sequence[str], *, adjustment: CloseKind, file: str) -> CloseColumns:
    """Read a header. Raises InvalidInput which names the file and what is missing.

    An adjusted close is never taken for a close as traded, nor the other way round.
    """
    date, symbol = (_only(header, NAMES[name], file) for name in ("date", "symbol"))
    close = _only(header, CLOSE_NAMES[adjustment], file)
    if date is None or close is None:
        wanted = "date" if date is None else f"{' or '.join(CLOSE_NAMES[adjustment])} (closes, adjustment {adjustment.code})"
        raise InvalidInput(f"{file}: no column {wanted} among {', '.join(header) or 'nothing'}", field="file")
    return CloseColumns(date=date, close=close, symbol=symbol)


def _only(header: Sequence[str], names: Sequence[str], file: str) -> int | None:
    found = [index for index, title in enumerate(header) if plain_title(title) in names]
    if len(found) > 1:
        raise InvalidInput(f"{file}: {' and '.join(repr(header[index]) for index in found)} are the same column twice", field="file")
    return found[0] if found else None


#: The factors of the Fama-French files: title -> our series.
FAMA_FRENCH = {"mktrf": "ff.mkt_rf", "smb": "ff.smb", "hml": "ff.hml", "rmw": "ff.rmw", "cma": "ff.cma", "rf": "ff.rf", "mom": "ff.mom"}
MONTH = re.compile(r"([0-9]{4})-?([0-9]{2})")
QUARTER = re.compile(r"([0-9]{4})-?Q([1-4])")
