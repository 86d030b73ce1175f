"""Rows and model instances from plain SQL, for the few statements that an order waits for: Django's own way costs more than the query."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any, Final, TypeVar

from django.db import DatabaseError, connection, transaction
from django.db.models import Model

from apps.core.postgres.base import Question

Row = TypeVar("Row", bound=Model)
#: Between the values of a line of text, and between such lines, where many rows come as one text: in no symbol, currency or number.
BETWEEN: Final = "\x1f"
LINE: Final = "\x1e"


def fetch(query: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows that a query answers, by the shortest way (`DatabaseWrapper.fetch`)."""
    found: list[tuple[Any, ...]] = connection.fetch(query, parameters)  # type: ignore[attr-defined]
    return found


class NotAnswered(Exception):
    """Questions that were asked together failed, and broke the transaction: the caller takes it back and asks each by itself, to see which."""


@contextmanager
def asked_together(questions: Sequence[Question], *, savepoint: bool = False) -> Iterator[None]:
    """Within the block `fetch` has the answers at hand (`DatabaseWrapper.asked`). Raises NotAnswered where one of them fails in a transaction.

    A caller whose transaction must survive that (`savepoint`) asks each by itself.
    """
    if savepoint and connection.in_atomic_block:
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(connection.asked(questions))  # type: ignore[attr-defined]
        except DatabaseError as error:
            if connection.in_atomic_block:
                raise NotAnswered from error
        yield  # where one has failed, each is asked by itself, and says what is wrong


def looking(*, savepoint: bool) -> AbstractContextManager[None]:
    """For queries that may fail while a transaction has to live on: inside one a savepoint, or nothing where the caller holds one already, and
    outside of one nothing, because each query then stands by itself."""
    return transaction.atomic(savepoint=savepoint) if connection.in_atomic_block else nullcontext()


def rows_of(model: type[Row], query: str, parameters: Sequence[Any]) -> list[Row]:
    """Instances of the rows that `query` finds: a fixed text from its `from` on, in which the model's table is called `row`."""
    return [row for row, _ in rows_with("null", model, query, parameters)]


def rows_with(also: str, model: type[Row], query: str, parameters: Sequence[Any]) -> list[tuple[Row, Any]]:
    """The same, each with the value of one more expression, whose parameters come first."""
    names = [field.attname for field in model._meta.concrete_fields]
    return [(model.from_db(connection.alias, names, row), first) for first, *row in fetch(*rows_question(also, model, query, parameters))]


def rows_question(also: str, model: type[Row], query: str, parameters: Sequence[Any]) -> Question:
    """What `rows_with` asks, for `asked_together`."""
    return f"select {also}, {_columns(model)} {query}", parameters


@cache
def _columns(model: type[Model]) -> str:
    return ", ".join(f'row."{field.column}"' for field in model._meta.concrete_fields)
