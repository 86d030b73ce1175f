from apps.core.models.access import User
from apps.core.models.idempotency import IdempotentRequest
from apps.core.models.jobs import JobRun
from apps.core.models.journal import JournalChain, JournalEntry, JournalLink, JournalSeal

__all__ = ["IdempotentRequest", "JobRun", "JournalChain", "JournalEntry", "JournalLink", "JournalSeal", "User"]
