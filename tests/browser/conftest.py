"""A whole desk, started as `make demo` starts it, and Chromium in front of it."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.plugin import chromium_path
from tests.recovery.desk import START_SECONDS, RunningDesk, port_hold

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
#: Everything that is waited for comes within a few seconds of the replay, and a test machine may be busy with other things.
PATIENCE_MS = 90_000
expect.set_options(timeout=PATIENCE_MS)
#: Where pictures go: `make screenshots` sets it to docs/. Who sets it gets one of every page, in both schemes, wide and narrow.
ASKED_FOR = os.environ.get("DESK_SCREENSHOTS", "")
PICTURES = Path(ASKED_FOR or ROOT / "var" / "screenshots")


@dataclass
class Desk:
    url: str
    process: subprocess.Popen[str]
    environment: dict[str, str]
    output: list[str] = field(default_factory=list)

    @property
    def logins(self) -> dict[str, str]:
        return dict(match.groups() for line in self.output if (match := re.match(r"login (\S+) (\S+)", line)))

    def read_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Collect output until the condition holds; False when time is up or the desk ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            if select.select([self.process.stdout], [], [], 0.2)[0] and (line := self.process.stdout.readline()):
                self.output.append(line.strip())
        return True


def screenshot(page: Page, name: str) -> Path:
    """A picture of the whole page. Only the named ones of the documentation go there, all of them go under var/."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, full_page=name != "dashboard")
    return path


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory, loaded_desk: RunningDesk) -> Iterator[Desk]:
    """The demo desk with all its processes on private servers of its own. Ctrl-C must stop every one of them."""
    held = port_hold()
    port = held.getsockname()[1]
    private = ("DATABASE_URL", "REDIS_URL", "DESK_PG_BIN", "DESK_TS_PRELOAD", "DJANGO_SETTINGS_MODULE")
    environment = {key: value for key, value in os.environ.items() if key not in private}
    environment |= {"DESK_VAR": str(loaded_desk.copied(tmp_path_factory.mktemp("desk")).var), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(ROOT / "manage.py"), "desk", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    running = Desk(f"http://127.0.0.1:{port}", process, environment)
    try:
        ready = running.read_until(lambda: len(running.logins) >= 7, START_SECONDS)
        assert ready, "the desk did not start:\n" + "\n".join(running.output[-40:])
        assert urlopen(f"{running.url}/healthz", timeout=60).status == 200
        yield running
    finally:
        held.close()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    left = subprocess.run(["ps", "-o", "pid=,args=", "-s", str(process.pid)], capture_output=True, text=True, check=False).stdout.strip()
    assert left == "", f"Ctrl-C left processes behind:\n{left}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield chromium
        chromium.close()


@dataclass
class Watch:
    """What a page must never do."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def attach(self, page: Page, own: str) -> None:
        def console(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.errors.append(f"{page.url}: {message.text}")

        def request(sent: Request) -> None:
            if not sent.url.startswith((own, own.replace("http:", "ws:"), "data:", "blob:")):
                self.foreign.append(sent.url)

        page.on("console", console)
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))
        page.on("request", request)


@pytest.fixture
def watch() -> Iterator[Watch]:
    seen = Watch()
    yield seen
    assert seen.errors == []
    assert seen.foreign == []


@pytest.fixture
def sign_in(desk: Desk, browser: Browser, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Open a context of its own for a user and log in through the form."""
    contexts: list[BrowserContext] = []

    def open_page(user: str, *, width: int = 1280, height: int = 900, scheme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-US", timezone_id="UTC")
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        watch.attach(page, desk.url)
        page.goto(f"{desk.url}/")
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", desk.logins[user])
        page.click("form[method=post] button")
        page.wait_for_url(f"{desk.url}/")
        return page

    yield open_page
    for context in contexts:
        context.close()
