"""The desk that tests of whole desks begin with, and who shares a running one."""

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.migrated import alone
from tests.recovery.desk import RunningDesk

#: Files whose tests share one running desk, or copies of one that is loaded for the first of them.
TOGETHER = {"tests/browser/": "browser", "tests/recovery/test_first_start.py": "loaded", "tests/recovery/test_kill.py": "loaded"}


class ByDesk(LoadFileScheduling):
    """Each file on one worker, and files that share a desk on the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((group for path, group in TOGETHER.items() if nodeid.startswith(path)), super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByDesk | None:
    """With --dist loadfile."""
    return ByDesk(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def loaded_desk(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Folder of the demo desk after its first start, from nothing, and Ctrl-C. Nobody starts anything in it: all copy it, because loading it
    anew would take each a minute. The first worker that wants it makes it for all."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder if worker_id == "master" else folder.parent) / "loaded"
    loaded = folder / "loaded"
    with alone(folder.with_suffix(".lock")):
        if not loaded.exists():
            first = RunningDesk(folder)
            try:
                first.start()
                first.stop()
                assert first.process.returncode == 0, first.printed
                loaded.touch()
            finally:
                first.abandon()
    return folder
