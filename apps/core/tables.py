"""Tables that a page shows and that leave as CSV and JSON: one description for all three.

A selector makes a `Table`, the template tag `data_panel` writes it with the links, and `table_answer` answers them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.core.charts import csv_answer
from apps.core.documents import plain

#: Units of what is read rather than compared.
WRITTEN = ("text", "wrap", "tag", "code", "date", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its key in JSON and CSV, its heading, and how the page writes it.

    `unit` is one that the template filter `cell` knows; `unit_from` names the column that holds each row's own instead. `data_only` columns
    leave with CSV and JSON, and the page does without them.
    """

    key: str
    label: str = ""
    unit: str = "text"
    unit_from: str = ""
    data_only: bool = False

    @property
    def numeric(self) -> bool:
        """True when the cells stand at the right."""
        return self.unit not in WRITTEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of `columns`, in their order; None in a cell is unknown. The first column names the row.

    `note` stands beside the title; `empty` says why there are no rows; `facts` say what the numbers were computed from, so that each can be
    explained.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[object]]
    empty: str
    note: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def shown(self) -> list[Column]:
        """The columns of the page."""
        return [column for column in self.columns if not column.data_only]

    @property
    def lines(self) -> list[list[tuple[object, str, Column]]]:
        """The cells of each row of the page: value, unit, column."""
        records = [dict(zip((column.key for column in self.columns), row, strict=True)) for row in self.rows]
        return [[(record[one.key], str(record[one.unit_from]) if one.unit_from else one.unit, one) for one in self.shown] for record in records]


def table_answer(request: HttpRequest, table: Table) -> HttpResponse:
    """CSV with `format=csv`, else JSON {name, title, facts, empty, columns[], rows[{}]}: raw numbers, `empty` only where there are no rows."""
    keys = [column.key for column in table.columns]
    if request.GET.get("format") == "csv":
        return csv_answer(table.name, keys, table.rows)
    described = [{"key": column.key, "label": column.label, "unit": column.unit_from or column.unit} for column in table.columns]
    rows = [dict(zip(keys, map(plain, row), strict=True)) for row in table.rows]
    reason = "" if rows else table.empty
    return JsonResponse({"name": table.name, "title": table.title, "facts": plain(table.facts), "empty": reason, "columns": described, "rows": rows})
