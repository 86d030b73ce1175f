from datetime import datetime

from django.db import models
from django.db.models import Q

#: There is one monitor for the desk, so there is one row.
DESK = 1


class MonitorState(models.Model):
    """Where the live monitor stands: who holds it, and when all portfolios were computed last. Written every second, so no journalled fact.

    `token` is the fencing token: it grows with each take-over, and what a monitor would write under an older one is refused. `peaks` is the
    highest wealth of each portfolio in `session`, which a drawdown counts from. No row: no monitor has ever run on this desk.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=DESK)
    token = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=200, help_text="Host and process that runs it")
    taken_at = models.DateTimeField(help_text="Wall time at which the holder became the monitor")
    alive_at = models.DateTimeField(null=True, help_text="Wall time at which the holder had last done a part of a longer work")
    computed_at = models.DateTimeField(null=True, help_text="Wall time at which every portfolio had been computed")
    portfolios = models.PositiveIntegerField(default=0)
    session = models.DateField(null=True)
    peaks = models.JSONField(default=dict)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=DESK), name="monitor_state_one")]

    def __str__(self) -> str:
        return f"risk monitor {self.holder}"

    @property
    def heard_at(self) -> datetime:
        """Wall time of the holder's last sign of life."""
        return max(at for at in (self.taken_at, self.alive_at, self.computed_at) if at is not None)
