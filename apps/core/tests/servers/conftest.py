"""Servers of their own for tests that start, kill and stop them: with the durable settings of the desk."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.core.servers import EmbeddedServers

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as servers leave it that were made and stopped."""
    var = tmp_path_factory.mktemp("first") / "var"
    pair = EmbeddedServers(var)
    pair.start()
    pair.stop()
    return var


@pytest.fixture
def cluster(var: Path, first_start: Path) -> None:
    """`var` has a cluster already: to make one takes seconds, and is not what is under test."""
    shutil.copytree(first_start / "postgres", var / "postgres")


@pytest.fixture
def servers(var: Path, cluster: None) -> Iterator[EmbeddedServers]:
    """Started; stopped by force at the end, whatever the test left."""
    pair = EmbeddedServers(var)
    pair.start()
    try:
        yield pair
    finally:
        pair.postgres.stop()
        pair.redis.stop()


def eventually(condition: Callable[[], object], *, seconds: float = 300) -> bool:
    """True as soon as the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


USER_OF_SERVERS = """
import sys
from pathlib import Path
from apps.core.servers import EmbeddedServers
pair = EmbeddedServers(Path(sys.argv[1]))
pair.start()
print(pair.postgres.pid(), pair.redis.pid(), flush=True)
sys.stdin.readline()
pair.stop()
"""


@contextlib.contextmanager
def another_user(var: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the servers until it reads a line."""
    process = subprocess.Popen([sys.executable, "-c", USER_OF_SERVERS, str(var)], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.communicate("\n", timeout=300)
