"""Everything between `manage.py desk` and a running desk."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.core import clock
from apps.core.errors import InvalidInput, Unavailable
from apps.core.servers import EmbeddedServers, ServerError
from apps.desk.domain.processes import LiveFeed, desk_processes
from apps.desk.services.demo import demo_allowed, demo_load, demo_logins, demo_replay, demo_wanted
from apps.desk.services.installation import connections_leave, database_migrate, installing, static_collect
from apps.desk.services.supervisor import Supervisor, end_stale_processes, only_desk, port_check

#: Listening on all addresses is asked for by these; one of them is asked whether the desk answers.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104


def desk_run(*, var: Path, host: str, port: int, demo: bool, tell: Callable[[str], None], stopping: Callable[[], bool]) -> None:
    """Prepare the desk, run all its processes until told to stop, end them.

    Raises Conflict when a desk runs here already or the port is taken, InvalidInput for a port that is none.
    """
    if not 0 < port < 65536:
        raise InvalidInput(f"{port} is no port: 1 to 65535", field="port")
    with only_desk(var), _servers(var, tell) as servers_check:
        end_stale_processes(var)
        port_check(host, port)
        with installing():
            database_migrate(tell=tell)
            static_collect()
            if demo and demo_allowed() and demo_wanted():
                tell("loading the demo desk")
                demo_load(now=clock.now, tell=tell)
        replay = demo_replay()
        connections_leave()
        url = f"http://{EVERYWHERE.get(host, host)}:{port}"
        manage = str(settings.BASE_DIR / "manage.py")
        table = desk_processes(
            python=sys.executable, manage=manage, host=host, port=port, replay=replay, live=live_feed(), brokers=lines_to_brokers()
        )

        def ready() -> None:
            tell(f"the desk runs at {url}")
            for user, password in demo_logins().items():
                tell(f"login {user} {password}")
            tell(f"logs are in {var / 'log'}; Ctrl-C stops everything")

        supervisor = Supervisor(table, var=var, url=url, tell=tell, stopping=stopping, check=servers_check)
        supervisor.run(on_ready=ready)


def live_feed() -> LiveFeed | None:
    """The vendor's feed that the environment asks for."""
    found = settings.ENVIRONMENT
    return LiveFeed(provider=found.feed_provider, symbols=found.feed_symbols) if found.feed_provider else None


def lines_to_brokers() -> tuple[str, ...]:
    """Brokers to which the environment names a line that one process holds."""
    return ("ib",) if settings.ENVIRONMENT.ib_host else ()


@contextmanager
def _servers(var: Path, tell: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Hold the private servers, if any, and give a check that starts one again which died."""
    given_database, given_redis = settings.ENVIRONMENT.database_url, settings.ENVIRONMENT.redis_url
    servers = EmbeddedServers(var, with_postgres=not given_database, with_redis=not given_redis)

    def check() -> None:
        if not servers.alive():
            tell("a private server has died and is started again")
            servers.start()

    try:
        servers.start()
        yield check
    except ServerError as error:
        raise Unavailable(str(error)) from error
    finally:
        servers.stop()
