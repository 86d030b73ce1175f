"""Who is acting, and in which request: carried by context variables, written to the journal by the database itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """`actor` is "user:<username>", "job:<name>" or "command:<name>"; `request_id` ties all rows of one request together."""

    actor: str = ""
    request_id: str = ""


_current: ContextVar[Context] = ContextVar("desk_context", default=Context())  # noqa: B039 (frozen)


def current_context() -> Context:
    return _current.get()


@contextmanager
def acting(*, actor: str | None = None, request_id: str | None = None) -> Iterator[Context]:
    """Within the block, everything written to the database is journalled under this actor and request id."""
    before = _current.get()
    context = Context(before.actor if actor is None else actor, before.request_id if request_id is None else request_id)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def set_actor(actor: str) -> None:
    """Name the actor for the rest of this context: an API request learns who it is only after it has begun."""
    _current.set(Context(actor, _current.get().request_id))
