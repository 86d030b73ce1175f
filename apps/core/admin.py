"""Users, jobs and the journal in the admin site. The journal can be read and verified here, never written."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.views.decorators.http import require_POST

from apps.core.models import JobRun, JournalEntry, User
from apps.core.selectors.journal import Verdict, chain_head, journal_verify

LEVELS = {Verdict.CLEAN: messages.SUCCESS, Verdict.BROKEN: messages.ERROR, Verdict.UNKNOWN: messages.WARNING}


class ReadOnly:
    """Mixin for what is a fact or follows from facts, of a model's admin or of an inline: nobody adds, changes or deletes.

    Facts may be many: they are not counted.
    """

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin):
    """Rows of facts."""


class EstimatingPaginator(Paginator):
    """Counts a whole table by PostgreSQL's estimate: a full count of the journal takes seconds."""

    @cached_property
    def count(self) -> int:
        """Rows of the list; estimated where no filter narrows it and the table is large."""
        query = getattr(self.object_list, "query", None)
        if query is not None and not query.where:
            with connection.cursor() as cursor:
                cursor.execute("select reltuples::bigint from pg_class where oid = to_regclass(%s)", [query.get_meta().db_table])
                row = cursor.fetchone()
            if row and row[0] > 100_000:
                return int(row[0])
        return super().count


@admin.register(User)
class DeskUserAdmin(UserAdmin):
    """People and their roles (groups)."""

    list_display = ("username", "email", "first_name", "last_name", "roles", "is_staff", "is_active", "last_login")
    list_filter = ("groups", "is_staff", "is_active")
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Desk", {"fields": ("theme",)}))

    def get_queryset(self, request: HttpRequest) -> Any:
        """Users with their groups in one query more."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        """Names of the user's groups."""
        return ", ".join(sorted(group.name for group in user.groups.all())) or "—"


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin):
    """Runs of commands and jobs."""

    list_display = ("id", "job", "state", "scheduled_for", "started_at", "finished_at", "message", "requested_by")
    list_filter = ("state", "job")
    list_select_related = ("requested_by",)
    ordering = ("-id",)


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    """Every change of every watched table, with who made it."""

    list_display = ("id", "recorded_at", "actor", "operation", "table_name", "row_id", "request_id")
    list_filter = ("operation", "recorded_at")
    search_fields = ("=row_id", "=request_id", "=actor", "=table_name")
    search_help_text = "A row's id, a request id, an actor or a table, exactly as written"
    ordering = ("-id",)
    paginator = EstimatingPaginator

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the button."""
        verify = self.admin_site.admin_view(require_POST(self.verify))
        return [path("verify/", verify, name="core_journalentry_verify"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the head of the chain above it."""
        context = {"head": chain_head(), "may_verify": request.user.has_perm("core.verify_journal"), **(extra_context or {})}
        return super().changelist_view(request, context)

    def verify(self, request: HttpRequest) -> HttpResponse:
        """Verify the chain now and say what was found."""
        if not request.user.has_perm("core.verify_journal"):
            raise PermissionDenied
        found = journal_verify()
        self.message_user(request, found.summary, LEVELS[found.verdict])
        return HttpResponseRedirect(reverse("admin:core_journalentry_changelist"))
