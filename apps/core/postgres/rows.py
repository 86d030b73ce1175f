"""Model instances from plain SQL, for the few statements that an order waits for: Django's own way costs more than the query."""

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model

Row = TypeVar("Row", bound=Model)


def rows_of(model: type[Row], query: str, parameters: Sequence[Any]) -> list[Row]:
    """Instances of the rows that `query` finds: a fixed text from its `from` on, in which the model's table is called `row`."""
    return [row for row, _ in rows_with("null", model, query, parameters)]


def rows_with(also: str, model: type[Row], query: str, parameters: Sequence[Any]) -> list[tuple[Row, Any]]:
    """The same, each with the value of one more expression, whose parameters come first."""
    names = [field.attname for field in model._meta.concrete_fields]
    select = ", ".join(f'row."{field.column}"' for field in model._meta.concrete_fields)
    with connection.cursor() as cursor:
        cursor.execute(f"select {also}, {select} {query}", parameters)
        return [(model.from_db(connection.alias, names, row), first) for first, *row in cursor.fetchall()]
