import uuid

from django.contrib.postgres.indexes import BrinIndex
from django.db import models


class JournalEntry(models.Model):
    """One insert, update or delete of a watched table, written by a trigger. Append-only: the database refuses everything else.

    `digest` is the SHA-256 that the trigger computed over the row, so that an edit shows even before the row is sealed.
    """

    id = models.BigAutoField(primary_key=True)
    transaction = models.PositiveBigIntegerField(help_text="PostgreSQL's transaction id: which rows were written together")
    recorded_at = models.DateTimeField()
    table_name = models.CharField(max_length=100)
    operation = models.CharField(max_length=8)
    row_id = models.CharField(max_length=200)
    actor = models.CharField(max_length=200)
    request_id = models.CharField(max_length=100)
    old = models.JSONField(null=True)
    new = models.JSONField(null=True)
    digest = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "journal entries"
        permissions = [("verify_journal", "Can verify the journal's chain")]
        indexes = [
            models.Index(fields=["table_name", "row_id"], name="journal_row"),
            models.Index(fields=["request_id"], name="journal_request"),
            BrinIndex(fields=["recorded_at"], autosummarize=True, name="journal_time"),
            BrinIndex(fields=["transaction"], autosummarize=True, name="journal_transaction"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.table_name} {self.row_id} #{self.pk}"


class JournalChain(models.Model):
    """The identity of this database's chain, which names its anchor file outside the database."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.pk)


class JournalLink(models.Model):
    """One sealed entry's place in the chain: hash = SHA-256(previous hash in hex + canonical JSON of the entry)."""

    seq = models.BigIntegerField(primary_key=True)
    entry_id = models.BigIntegerField(unique=True)
    digest = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"link {self.seq}"


class JournalSeal(models.Model):
    """One batch of links made in one transaction, with the head of the chain after it."""

    last_seq = models.BigIntegerField(unique=True)
    first_seq = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    horizon = models.PositiveBigIntegerField(help_text="All transactions below this id had ended and are sealed")
    sealed_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(last_seq__gte=models.F("first_seq")), name="journal_seal_not_empty")]

    def __str__(self) -> str:
        return f"seal {self.first_seq}..{self.last_seq}"
