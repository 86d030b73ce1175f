"""Files of bars: CSV, CSV.gz and Parquet into columns, every row with its line in the file."""

import csv
import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

CSV_SUFFIXES = (".csv", ".csv.gz", ".txt", ".txt.gz", ".tsv", ".tsv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")
DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTable:
    """A file as it is: titles, one Arrow array per column [T], the line of each row [T], and lines that are no row at all.

    CSV columns are text. `malformed` holds line and fault of lines with too few or too many columns.
    """

    name: str
    titles: tuple[str, ...]
    columns: "Sequence[pa.Array]"
    lines: NDArray[np.int64]
    malformed: tuple[tuple[int, str], ...]

    def __len__(self) -> int:
        return len(self.lines)


def file_stem(path: Path) -> str:
    """Name of a file without its known suffixes: "BRK.B.csv.gz" -> "BRK.B"."""
    return path.name.removesuffix(_suffix(path)) if _suffix(path) else path.name


def read_titles(path: Path) -> tuple[str, ...]:
    """Titles of a file's columns. Raises InvalidInput, naming the file, when it cannot be read."""
    with _readable(path):
        if _is_parquet(path):
            import pyarrow.parquet as pq

            return tuple(pq.read_schema(path).names)
        return _csv_header(path)[0]


def read_file(path: Path) -> FileTable:
    """The whole file. Raises InvalidInput, naming the file, when it cannot be read."""
    with _readable(path):
        return _read_parquet(path) if _is_parquet(path) else _read_csv(path)


class _readable:  # noqa: N801 - reads like the statement that it is
    """Turns what goes wrong while reading a file into InvalidInput with the file's name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        if not _suffix(self.path):
            known = ", ".join((*CSV_SUFFIXES, *PARQUET_SUFFIXES))
            raise InvalidInput(f"{self.path}: not a file of bars: its name must end in one of {known}", field="file")

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError | ValueError | EOFError | zlib.error):  # Arrow's errors are among them
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise InvalidInput(f"{self.path}: cannot be read: {reason}", field="file") from error


def _suffix(path: Path) -> str:
    return next((suffix for suffix in (*CSV_SUFFIXES, *PARQUET_SUFFIXES) if path.name.lower().endswith(suffix)), "")


def _is_parquet(path: Path) -> bool:
    return _suffix(path) in PARQUET_SUFFIXES


def _csv_header(path: Path) -> tuple[tuple[str, ...], str]:
    """Titles and delimiter of the first line."""
    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        line = file.readline()
    if not line.strip():
        raise ValueError("its first line is empty: it should name the columns")
    delimiter = max(DELIMITERS, key=line.count)
    return tuple(title.strip() for title in next(csv.reader([line], delimiter=delimiter))), delimiter


def _read_csv(path: Path) -> FileTable:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    titles, delimiter = _csv_header(path)
    malformed: list[tuple[int, str]] = []

    def note(row: "arrow_csv.InvalidRow") -> str:
        malformed.append((row.number, f"{row.actual_columns} columns instead of {row.expected_columns}"))
        return "skip"

    columns = [f"c{index}" for index in range(len(titles))]  # titles may stand there twice
    table = arrow_csv.read_csv(
        path,
        # in one thread, because only then it knows the numbers of malformed lines
        read_options=arrow_csv.ReadOptions(use_threads=False, column_names=columns),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=note, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False),
    ).slice(1)
    is_row = np.ones(len(table) + len(malformed) + 2, bool)
    is_row[[0, 1, *(line for line, _ in malformed)]] = False  # lines count from 1, and the first is the header
    lines = np.flatnonzero(is_row)
    arrays = [_trimmed(column) for column in table.itercolumns()]
    blank = _blank(arrays, len(table))
    return FileTable(
        name=str(path),
        titles=titles,
        columns=[array.filter(pa.array(~blank)) for array in arrays] if blank.any() else arrays,
        lines=lines[~blank],
        malformed=tuple(malformed),
    )


def _trimmed(column: "pa.ChunkedArray") -> "pa.Array":
    import pyarrow.compute as pc

    return pc.utf8_trim_whitespace(column).combine_chunks()


def _blank(arrays: "Sequence[pa.Array]", count: int) -> NDArray[np.bool_]:
    """Rows that are nothing but an empty line."""
    import pyarrow.compute as pc

    blank = np.ones(count, bool)
    for array in arrays:
        blank &= pc.equal(array, "").to_numpy(zero_copy_only=False)
        if not blank.any():
            break
    return blank


def _read_parquet(path: Path) -> FileTable:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return FileTable(
        name=str(path),
        titles=tuple(table.column_names),
        columns=[column.combine_chunks() for column in table.itercolumns()],
        lines=np.arange(1, len(table) + 1),
        malformed=(),
    )
