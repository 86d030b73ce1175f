"""Model instances from plain SQL, for the few statements that an order waits for: Django's own way costs more than the query."""

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model

Row = TypeVar("Row", bound=Model)


def rows_of(model: type[Row], query: str, parameters: Sequence[Any]) -> list[Row]:
    """Instances of the rows that `query` finds: a fixed text from its `from` on, in which the model's table is called `row`."""
    names = [field.attname for field in model._meta.concrete_fields]
    select = ", ".join(f'row."{field.column}"' for field in model._meta.concrete_fields)
    with connection.cursor() as cursor:
        cursor.execute(f"select {select} {query}", parameters)
        return [model.from_db(connection.alias, names, row) for row in cursor.fetchall()]
