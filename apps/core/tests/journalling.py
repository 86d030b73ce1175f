"""What tests of the journal share: write some entries, seal them all."""

import time
from collections.abc import Callable

from apps.core import clock
from apps.core.context import acting
from apps.core.models import JournalEntry, JournalLink, User
from apps.core.services.journal import journal_seal

LONGEST_WAIT = 300
#: Runs a statement past every guard.
Tamper = Callable[..., None]
COLUMNS = "id, transaction, recorded_at, table_name, operation, row_id, actor, request_id, old::text, new::text, digest"


def write_entries(count: int, prefix: str = "person") -> list[int]:
    """Ids of `count` new entries, each of a transaction of its own."""
    before = JournalEntry.objects.order_by("id").last()
    with acting(actor="user:alice", request_id="request-1"):
        for number in range(count):
            User.objects.create(username=f"{prefix}{number}", password="x")
    return list(JournalEntry.objects.filter(id__gt=before.id if before else 0, table_name="core_user").order_by("id").values_list("id", flat=True))


def seal_all(*, batch: int = 1000) -> None:
    """Seal until no entry is left; a transaction of another test's database may hold the horizon back for a moment."""
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        journal_seal(at=clock.now(), batch=batch)
        if JournalLink.objects.count() >= JournalEntry.objects.count():
            return
        assert time.monotonic() < deadline, "entries stay unsealed"


def seq_of(entry_id: int) -> int:
    return JournalLink.objects.get(entry_id=entry_id).seq
