"""Migration operations for what Django's models cannot say: journalled tables, append-only tables, hypertables.

All are reversible, and each says in the migration, beside the table, what the database itself guarantees.
"""

from typing import Any

from django.db.migrations.operations.base import Operation

from apps.core.postgres.timescaledb import AggregatePlan, HypertablePlan, edition


class _TableOperation(Operation):
    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing that Django's state knows about changes."""

    def _table(self, app_label: str, state: Any) -> str:
        return str(state.apps.get_model(app_label, self.model_name)._meta.db_table)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__qualname__, [self.model_name], {}


class Journal(_TableOperation):
    """Write every insert, update and delete of the table into the journal, whichever way it came."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        table = self._table(app_label, to_state)
        schema_editor.execute(
            f'create trigger "journal_{table}" after insert or update or delete on "{table}" for each row execute function core_journal_record()'
        )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        table = self._table(app_label, from_state)
        schema_editor.execute(f'drop trigger "journal_{table}" on "{table}"')

    def describe(self) -> str:
        return f"Journal every change of {self.model_name}"


class AppendOnly(_TableOperation):
    """Refuse UPDATE, DELETE and TRUNCATE of the table, also from raw SQL and from superusers."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        table = self._table(app_label, to_state)
        for name, events in (("rows", "update or delete"), ("all", "truncate")):
            level = "row" if name == "rows" else "statement"
            schema_editor.execute(
                f'create trigger "append_only_{name}_{table}" before {events} on "{table}" for each {level} execute function core_refuse_change()'
            )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        table = self._table(app_label, from_state)
        for name in ("rows", "all"):
            schema_editor.execute(f'drop trigger "append_only_{name}_{table}" on "{table}"')

    def describe(self) -> str:
        return f"Refuse changes of {self.model_name}'s rows"


class NoTruncate(AppendOnly):
    """Refuse TRUNCATE, which no row trigger sees, of a journalled table whose rows may change."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        table = self._table(app_label, to_state)
        schema_editor.execute(
            f'create trigger "no_truncate_{table}" before truncate on "{table}" for each statement execute function core_refuse_change()'
        )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        table = self._table(app_label, from_state)
        schema_editor.execute(f'drop trigger "no_truncate_{table}" on "{table}"')

    def describe(self) -> str:
        return f"Refuse TRUNCATE of {self.model_name}"


class Hypertable(_TableOperation):
    """Turn the table into a TimescaleDB hypertable where the extension is available; do nothing where it is not.

    `compress_after_days` (segmented by the column `segment_by`) and `keep_days` take effect with the community licence only.
    The primary key must contain the time column. `manage.py storage_status` says what is in force.
    """

    def __init__(
        self,
        model_name: str,
        time_column: str,
        chunk_days: int,
        *,
        segment_by: str = "",
        compress_after_days: int | None = None,
        keep_days: int | None = None,
    ) -> None:
        super().__init__(model_name)
        self.time_column = time_column
        self.chunk_days = chunk_days
        self.options: dict[str, Any] = {"segment_by": segment_by, "compress_after_days": compress_after_days, "keep_days": keep_days}

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not edition(schema_editor.connection).usable:
            return
        schema_editor.execute("create extension if not exists timescaledb")
        table = self._table(app_label, to_state)
        plan = HypertablePlan(table=table, time_column=self.time_column, chunk_days=self.chunk_days, **self.options)
        for statement in plan.statements(edition(schema_editor.connection)):
            schema_editor.execute(statement, params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """The table is dropped by the operation that made it; a hypertable drops like any other."""

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        options = {name: value for name, value in self.options.items() if value not in ("", None)}
        return self.__class__.__qualname__, [self.model_name, self.time_column, self.chunk_days], options

    def describe(self) -> str:
        return f"Make {self.model_name} a hypertable by {self.time_column} where TimescaleDB is available"


class ContinuousAggregate(_TableOperation):
    """Let TimescaleDB keep longer bars of the table where its community edition is; do nothing where it is not."""

    def __init__(self, model_name: str, view: str, *, time_column: str, key: str, bucket: str, where: str) -> None:
        super().__init__(model_name)
        self.view = view
        self.options = {"time_column": time_column, "key": key, "bucket": bucket, "where": where}

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        plan = AggregatePlan(view=self.view, table=self._table(app_label, to_state), **self.options)
        for statement in plan.statements(edition(schema_editor.connection)):
            schema_editor.execute(statement, params=None)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute(f'drop materialized view if exists "{self.view}"')

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__qualname__, [self.model_name, self.view], dict(self.options)

    def describe(self) -> str:
        return f"Keep {self.view} as a continuous aggregate of {self.model_name} where TimescaleDB's community edition is available"
