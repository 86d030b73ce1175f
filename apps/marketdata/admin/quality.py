from django.contrib import admin
from simple_history.admin import SimpleHistoryAdmin

from apps.core.admin import ReadOnly, ReadOnlyAdmin
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import QualityFinding, Quarantine


@admin.register(Quarantine)
class QuarantineAdmin(ReadOnly, SimpleHistoryAdmin):
    """Quarantines with who changed what. They are opened and released on the page "Data", where the reason is asked for."""

    list_display = ["instrument", "bars", "from_date", "to_date", "reason", "opened_by", "opened_at", "released_by", "released_at"]
    list_filter = [("released_at", admin.EmptyFieldListFilter)]
    list_select_related = ["instrument", "opened_by", "released_by"]
    search_fields = ["instrument__symbol", "reason"]
    history_list_display = ["from_date", "to_date", "reason", "release_reason"]
    ordering = ["-opened_at"]

    @admin.display(description="bars")
    def bars(self, quarantine: Quarantine) -> str:
        """The time frame's code."""
        return "all" if quarantine.timeframe is None else Timeframe(quarantine.timeframe).code


@admin.register(QualityFinding)
class QualityFindingAdmin(ReadOnlyAdmin):
    """Everything that data checks have found."""

    list_display = ["found_at", "instrument", "bars", "severity", "check_code", "first", "last", "count", "text"]
    list_filter = ["severity", "check_code"]
    list_select_related = ["instrument"]
    search_fields = ["instrument__symbol"]
    ordering = ["-id"]

    @admin.display(description="bars")
    def bars(self, finding: QualityFinding) -> str:
        """The time frame's code."""
        return Timeframe(finding.timeframe).code
