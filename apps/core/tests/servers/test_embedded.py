"""Who starts and who stops the private servers, with real processes."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from apps.core.servers import EmbeddedServers, ServerError
from apps.core.servers.embedded import command_needs_servers
from apps.core.tests.servers.conftest import ROOT, another_user, eventually


def query(servers: EmbeddedServers, sql: str) -> list[tuple]:
    with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


class TestStartAndStop:
    def test_commits_are_durable(self, servers: EmbeddedServers) -> None:
        names = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
        assert [query(servers, f"show {name}")[0][0] for name in names] == ["on"] * 4

    def test_listens_on_no_network_port(self, servers: EmbeddedServers) -> None:
        assert query(servers, "show listen_addresses") == [("",)]
        assert servers.run.stat().st_mode & 0o077 == 0

    def test_starting_again_changes_nothing(self, servers: EmbeddedServers) -> None:
        before = servers.postgres.pid(), servers.redis.pid()
        EmbeddedServers(servers.var).start()
        assert (servers.postgres.pid(), servers.redis.pid()) == before

    def test_stop_leaves_no_process(self, servers: EmbeddedServers) -> None:
        pids = [servers.postgres.pid(), servers.redis.pid()]
        servers.stop()
        assert not servers.running()
        assert eventually(lambda: not any(Path(f"/proc/{pid}/cwd").exists() and Path(f"/proc/{pid}/exe").exists() for pid in pids))

    def test_a_path_too_long_for_a_socket(self, tmp_path: Path) -> None:
        servers = EmbeddedServers(tmp_path / ("long" * 25) / "var")
        servers.start()
        try:
            assert query(servers, "select 1") == [(1,)]
            assert servers.redis.running()
            assert len(str(servers.redis.socket)) < 107
        finally:
            servers.stop()
            servers.run.rmdir() if not any(servers.run.iterdir()) else None

    def test_one_of_the_two_alone(self, var: Path) -> None:
        servers = EmbeddedServers(var, with_postgres=False)
        servers.start()
        assert servers.redis.running()
        assert not (var / "postgres").exists()
        servers.stop()
        assert not servers.redis.running()


class TestSharing:
    def test_concurrent_starts_make_one_pair(self, var: Path) -> None:
        users = [another_user(var) for _ in range(4)]
        with ThreadPoolExecutor() as pool:
            processes = list(pool.map(lambda user: user.__enter__(), users))
            pids = set(pool.map(lambda process: process.stdout.readline(), processes))
        for user in users:
            user.__exit__(None, None, None)
        assert len(pids) == 1
        assert pids != {""}
        assert not EmbeddedServers(var).running()

    def test_the_one_who_started_them_does_not_stop_them_under_another(self, var: Path, cluster: None) -> None:
        with another_user(var) as first:
            assert first.stdout.readline()
            with another_user(var) as second:
                assert second.stdout.readline()
                first.communicate("\n", timeout=300)
                assert first.returncode == 0
                assert EmbeddedServers(var).running()
        assert not EmbeddedServers(var).running()

    def test_a_killed_user_holds_nothing(self, var: Path, cluster: None) -> None:
        with another_user(var) as killed:
            assert killed.stdout.readline()
            killed.kill()
            killed.wait()
            assert EmbeddedServers(var).running()
        with another_user(var) as next_user:
            assert next_user.stdout.readline()
        assert not EmbeddedServers(var).running()


class TestRecovery:
    def test_no_acknowledged_row_is_lost_when_everything_is_killed(self, servers: EmbeddedServers) -> None:
        query(servers, "create table facts (number int)")
        for number in range(50):
            query(servers, f"insert into facts values ({number})")
        os.kill(servers.postgres.pid(), signal.SIGKILL)
        os.kill(servers.redis.pid(), signal.SIGKILL)
        assert eventually(lambda: not servers.redis.running())

        servers.start()

        assert query(servers, "select count(*) from facts") == [(50,)]
        assert servers.redis.running()

    def test_back_ends_of_a_killed_server_end_before_the_next_one_starts(self, servers: EmbeddedServers) -> None:
        with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
            backend = connection.info.backend_pid
            os.kill(backend, signal.SIGSTOP)  # this one cannot notice that its server died
            os.kill(servers.postgres.pid(), signal.SIGKILL)
            servers.start()
            assert query(servers, "select 1") == [(1,)]
            assert not Path(f"/proc/{backend}/cwd").exists()

    def test_pid_file_that_names_a_stranger(self, servers: EmbeddedServers) -> None:
        """After a reboot the number may belong to any process."""
        os.kill(servers.postgres.pid(), signal.SIGKILL)
        pid_file = servers.postgres.data / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
        servers.start()
        assert query(servers, "select 1") == [(1,)]

    def test_interrupted_initdb_is_done_again(self, var: Path) -> None:
        half = var / "postgres" / "initdb"
        half.mkdir(parents=True, mode=0o700)
        (half / "PG_VERSION").write_text("18\n")
        (var / "postgres").chmod(0o700)
        servers = EmbeddedServers(var)
        servers.start()
        try:
            assert query(servers, "select 1") == [(1,)]
        finally:
            servers.stop()


class TestRefusals:
    def test_cluster_of_another_major_version(self, servers: EmbeddedServers) -> None:
        servers.stop()
        (servers.postgres.data / "PG_VERSION").write_text("9\n")
        with pytest.raises(ServerError, match=r"made by PostgreSQL 9, .* are PostgreSQL 1\d"):
            servers.start()
        assert not servers.redis.running()

    def test_programs_that_are_not_there(self, var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DESK_PG_BIN", "/nowhere")
        with pytest.raises(ServerError, match="DESK_PG_BIN: /nowhere has no initdb"):
            EmbeddedServers(var).start()

    def test_socket_folder_that_others_can_enter(self, var: Path) -> None:
        (var / "run").mkdir(parents=True, mode=0o755)
        (var / "run").chmod(0o755)
        with pytest.raises(ServerError, match="mode 0700"):
            EmbeddedServers(var).start()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["manage.py"], False),
        (["manage.py", "help"], False),
        (["manage.py", "migrate", "--help"], False),
        (["manage.py", "check"], False),
        (["manage.py", "migrate"], True),
        (["manage.py", "desk", "--port", "8001"], True),
    ],
)
def test_which_commands_need_servers(argv: list[str], expected: bool) -> None:
    assert command_needs_servers(argv) is expected


class TestManagePy:
    @pytest.fixture
    def environment(self, var: Path) -> dict[str, str]:
        dropped = ("DATABASE_URL", "REDIS_URL")
        return {key: value for key, value in os.environ.items() if key not in dropped} | {"DESK_VAR": str(var)}

    def test_a_command_by_itself_brings_servers_and_takes_them_along(self, var: Path, environment: dict[str, str]) -> None:
        command = [
            sys.executable,
            "manage.py",
            "shell",
            "-v0",
            "-c",
            "from django.db import connection as c; print(c.cursor().execute('select 40+2').fetchone())",
        ]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
        assert done.stdout.strip() == "(42,)", done.stderr
        assert not EmbeddedServers(var).running()

    @pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM])
    def test_servers_end_with_an_interrupted_command(self, var: Path, cluster: None, environment: dict[str, str], word: signal.Signals) -> None:
        command = [sys.executable, "manage.py", "shell", "-v0", "-c", "import signal; print('ready', flush=True); signal.pause()"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout.readline() == "ready\n"
        assert EmbeddedServers(var).running()
        process.send_signal(word)
        assert process.wait(300) != 0
        assert not EmbeddedServers(var).running()
