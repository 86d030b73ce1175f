"""What a server offers of TimescaleDB, and the statements that make use of it.

The Apache edition has hypertables and chunks. Compression, retention policies and continuous aggregates come with the community
licence alone, which the extension itself names in `timescaledb.license`.
"""

from dataclasses import dataclass
from typing import Any

COMMUNITY = "timescale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """`available`: the server's packages have it; `loaded`: the server was started with it; `version`, `licence`: in this database.

    A server that has the package but was started without it cannot create the extension.
    """

    available: str | None
    loaded: bool
    version: str | None
    licence: str | None

    @property
    def usable(self) -> bool:
        return self.available is not None and self.loaded

    @property
    def community(self) -> bool:
        """True when compression, retention policies and continuous aggregates may be used."""
        return self.version is not None and self.licence == COMMUNITY

    @property
    def why_not(self) -> str:
        """Why hypertables cannot be used, empty when they can."""
        if self.available is None:
            return "the server has no TimescaleDB"
        if not self.loaded:
            return "the server was started without timescaledb in shared_preload_libraries"
        if self.version is None:
            return "the extension is not created in this database"
        return ""

    @property
    def why_not_community(self) -> str:
        """Why compression, retention and continuous aggregates cannot be used, empty when they can."""
        if self.why_not or self.community:
            return self.why_not
        return f"the licence is {self.licence}; these need the community edition (timescaledb.license = {COMMUNITY})"


def edition(connection: Any) -> Edition:
    """Ask the server of a Django connection."""
    with connection.cursor() as cursor:
        # The loader, which the server starts with, defines disable_load; the library of the extension defines license.
        cursor.execute(
            "select (select default_version from pg_available_extensions where name = 'timescaledb'),"
            " current_setting('timescaledb.disable_load', true) is not null,"
            " (select extversion from pg_extension where extname = 'timescaledb'),"
            " current_setting('timescaledb.license', true)"
        )
        available, loaded, version, licence = cursor.fetchone()
    return Edition(available=available, loaded=loaded, version=version, licence=licence if version else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HypertablePlan:
    """How a time series is stored: chunks of `chunk_days`, compressed and dropped when older than so many days (None: never)."""

    table: str
    time_column: str
    chunk_days: int
    segment_by: str = ""
    compress_after_days: int | None = None
    keep_days: int | None = None

    def create(self) -> str:
        return (
            f"select create_hypertable('\"{self.table}\"', by_range('{self.time_column}', interval '{self.chunk_days} days'), "
            "create_default_indexes => false, if_not_exists => true, migrate_data => true)"
        )

    def policies(self) -> list[str]:
        """What the community edition does by itself, in the background."""
        statements = []
        if self.compress_after_days is not None:
            segments = f", timescaledb.compress_segmentby = '{self.segment_by}'" if self.segment_by else ""
            statements += [
                f"alter table \"{self.table}\" set (timescaledb.compress, timescaledb.compress_orderby = '{self.time_column}'{segments})",
                f"select add_compression_policy('\"{self.table}\"', interval '{self.compress_after_days} days', if_not_exists => true)",
            ]
        if self.keep_days is not None:
            statements.append(f"select add_retention_policy('\"{self.table}\"', interval '{self.keep_days} days', if_not_exists => true)")
        return statements

    def statements(self, found: Edition) -> list[str]:
        """Everything that this edition can do: nothing on a plain server, policies with the community licence only."""
        if not found.usable:
            return []
        return [self.create(), *(self.policies() if found.community else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatePlan:
    """A continuous aggregate of bars: `view` holds, per `bucket` ("1 week", "1 month") and `key`, what the rows that pass `where` make of it.

    The database keeps it up to date in the background and adds what came since. It sees every revision of a bar: who reads it looks
    first whether there are any.
    """

    view: str
    table: str
    time_column: str
    key: str
    bucket: str
    where: str

    def create(self) -> str:
        ts = self.time_column
        group = f"{self.key}, time_bucket(interval '{self.bucket}', {ts}, 'UTC')"
        fields = f"first(open, {ts}) as open, max(high) as high, min(low) as low, last(close, {ts}) as close, sum(volume) as volume"
        rows = f'from "{self.table}" where {self.where} group by {group}'
        options = "timescaledb.continuous, timescaledb.materialized_only = false"
        return f'create materialized view "{self.view}" with ({options}) as select {group} as ts, {fields} {rows} with no data'

    def policy(self) -> str:
        return (
            f"select add_continuous_aggregate_policy('\"{self.view}\"', start_offset => null, end_offset => interval '{self.bucket}', "
            "schedule_interval => interval '1 day')"
        )

    def statements(self, found: Edition) -> list[str]:
        """Nothing where the edition has no continuous aggregates: then the same numbers are made when they are asked for."""
        return [self.create(), self.policy()] if found.community else []
