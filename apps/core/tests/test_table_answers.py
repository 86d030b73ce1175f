"""A table as the page, CSV and JSON have it."""

import json
from datetime import UTC, datetime
from decimal import Decimal

from django.test import RequestFactory

from apps.core.tables import Column, Table, table_answer

TABLE = Table(
    name="limits",
    title="Limits",
    columns=(
        Column(key="kind", label="Limit"),
        Column(key="unit", data_only=True),
        Column(key="used", label="Used", unit="number", unit_from="unit"),
    ),
    rows=[("=gross", "USD", Decimal("1.50")), ("loss", "fraction", None)],
    empty="There is none.",
    facts={"as_of": datetime(2026, 11, 20, 15, tzinfo=UTC)},
)


def test_the_page_leaves_out_what_is_only_data_and_writes_each_row_in_its_unit() -> None:
    assert [column.label for column in TABLE.shown] == ["Limit", "Used"]
    assert [[(value, unit) for value, unit, _ in line] for line in TABLE.lines] == [
        [("=gross", "text"), (Decimal("1.50"), "USD")],
        [("loss", "text"), (None, "fraction")],
    ]


def test_json_has_raw_numbers_and_what_they_were_computed_from() -> None:
    answer = json.loads(table_answer(RequestFactory().get("/"), TABLE).content)
    assert answer["rows"] == [{"kind": "=gross", "unit": "USD", "used": "1.50"}, {"kind": "loss", "unit": "fraction", "used": None}]
    assert answer["facts"] == {"as_of": "2026-11-20T15:00:00Z"}
    assert answer["empty"] == ""


def test_csv_is_inert() -> None:
    answer = table_answer(RequestFactory().get("/?format=csv"), TABLE)
    assert answer.content.decode("utf-8-sig").splitlines() == ["kind,unit,used", "'=gross,USD,1.50", "loss,fraction,"]
    assert answer["Content-Disposition"] == 'attachment; filename="limits.csv"'
