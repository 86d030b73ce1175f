"""The journal's hash chain as arithmetic: canonical JSON, the digest of one entry, the hash of one link.

h_i = SHA-256(h_(i-1) in hexadecimal followed by the canonical JSON of event i), h_0 = 64 zeros. After SEC 17a-4(f)(2)(i)(A): whoever
changes an event must change every hash after it, and the last hash is kept outside the database.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from apps.core.errors import InvalidInput
from apps.core.measures import measure

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the journal. `old` and `new` are the texts of the jsonb columns, exactly as PostgreSQL writes them."""

    id: int
    transaction: int
    recorded_at: datetime
    table_name: str
    operation: str
    row_id: str
    actor: str
    request_id: str
    old: str | None
    new: str | None
    digest: str


def timestamp(value: datetime) -> str:
    """UTC with six digits and a Z."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def canonical_json(value: Any) -> str:
    """JSON with keys sorted at every depth, no white space, UTF-8 unescaped, Decimals as strings, times as UTC with six digits.

    Raises InvalidInput for floats, whose text is not exact, and for values that JSON cannot carry.
    """
    _refuse_floats(value)
    return _dumps(value)


def _dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_text)


def _text(value: object) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    if isinstance(value, datetime):
        return timestamp(value)
    raise InvalidInput(f"{type(value).__name__} has no canonical JSON", field="events")


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise InvalidInput(f"{value!r} is a float: write decimals as strings", field="events")
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for item in items:
        _refuse_floats(item)


def link_hash(previous: str, event: Mapping[str, Any]) -> str:
    """Hash of an event (free of floats) behind the hash of the one before, 64 hexadecimal digits."""
    return hashlib.sha256((previous + _dumps(event)).encode()).hexdigest()


def entry_digest(entry: Entry, *, entry_id: int | None = None) -> str:
    """SHA-256 over the id and all other columns of the entry, as the trigger computed it. `entry_id` asks as if the row had that id."""
    fields = (
        str(entry.id if entry_id is None else entry_id),
        str(entry.transaction),
        timestamp(entry.recorded_at),
        entry.table_name,
        entry.operation,
        entry.row_id,
        entry.actor,
        entry.request_id,
        entry.old,
        entry.new,
    )
    return hashlib.sha256("".join("-," if field is None else f"{len(field)}:{field}," for field in fields).encode()).hexdigest()


def entry_event(entry: Entry, seq: int) -> dict[str, Any]:
    """The event that link `seq` seals: the entry in the words of the audit trail. Numbers with a fraction become strings."""
    return {
        "action": entry.operation,
        "actor": entry.actor,
        "data": {"new": _parsed(entry.new), "old": _parsed(entry.old)},
        "digest": entry.digest,
        "entry": entry.id,
        "object": f"{entry.table_name}:{entry.row_id}",
        "request": entry.request_id,
        "seq": seq,
        "transaction": entry.transaction,
        "ts": timestamp(entry.recorded_at),
    }


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text, parse_float=str)


@measure(
    "core.journal.chain",
    units="SHA-256, 64 hexadecimal digits",
    convention="h_0 = 64 zeros; h_i = SHA-256(h_(i-1) + canonical JSON of event i)",
    source="SEC Rule 17a-4(f)(2)(i)(A), audit-trail alternative",
)
def chain(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Hashes of a chain of events, first to last.

    Raises InvalidInput for an event with a float in it.
    """
    hashes: list[str] = []
    for event in events:
        _refuse_floats(event)
        hashes.append(link_hash(hashes[-1] if hashes else GENESIS, event))
    return hashes
