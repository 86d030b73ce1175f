"""The base of the desk's management commands: one shape of output, one table of exit codes, interruption that leaves a record."""

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from types import FrameType
from typing import Any, ClassVar

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db import InterfaceError, OperationalError, transaction
from kombu.exceptions import OperationalError as BrokerError

from apps.core import clock
from apps.core.console import ConsoleProgress, wants_bar
from apps.core.context import acting
from apps.core.documents import document
from apps.core.errors import DeskError
from apps.core.jobs import JobProgress, NullProgress, Progress, Running, job_create, job_run

SERVERS_AWAY = (OperationalError, InterfaceError, redis.ConnectionError, redis.TimeoutError, BrokerError)


class ExitCode(IntEnum):
    """What every command ends with."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    PARTIAL = 3
    REFUSED = 4
    DEPENDENCY = 5
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a command has to say: `data` for --json, `text` for people, and how it ended."""

    data: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    exit_code: int = ExitCode.OK


class _KeepsLines(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Django's order of options, and the help as it was written."""


class DeskCommand(BaseCommand):
    """Subclasses write `add_options` and `run`; `run` reports through `self.progress` and stops when `self.progress.cancelled()`.

    With --json stdout carries one JSON document and nothing else, also after an error ({"error": {code, detail, field}}).
    A first SIGINT or SIGTERM asks to finish the current item, a second one stops at once; both end with 130, and a `service`
    (a process that runs until it is told to stop) ends with 0. It acts as "command:<name>" in the journal.
    """

    records_job: ClassVar[bool] = False
    offers_dry_run: ClassVar[bool] = False
    service: ClassVar[bool] = False
    requires_system_checks: Any = []

    progress: Progress = NullProgress()
    _running: Running | None = None

    @property
    def name(self) -> str:
        """The word after manage.py."""
        return type(self).__module__.rsplit(".", 1)[-1]

    def __init_subclass__(cls) -> None:
        """The module's docstring is the command's help, examples and all."""
        super().__init_subclass__()
        cls.help = cls.help or (sys.modules[cls.__module__].__doc__ or "").strip()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """A parser that keeps the line breaks of the help."""
        return super().create_parser(prog_name, subcommand, formatter_class=_KeepsLines, **kwargs)

    def add_options(self, parser: CommandParser) -> None:
        """Declare the command's own options."""

    def run(self, **options: Any) -> CommandResult:
        """Do the work. DeskErrors that leave it become exit codes."""
        raise NotImplementedError(f"{type(self).__name__}.run")

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options that every command has."""
        parser.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else there")
        parser.add_argument("--no-progress", action="store_true", help="draw no progress bar")
        if self.offers_dry_run:
            parser.add_argument("--dry-run", action="store_true", help="do everything, then roll it back")
        self.add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, print, and leave with the right exit code (SystemExit or CommandError)."""
        self._stop = threading.Event()
        as_json = bool(options["json"])
        try:
            with acting(actor=f"command:{self.name}"), self._signals(), self._quiet_stdout(as_json):
                result = self._run_recorded(options)
        except DeskError as error:
            self._fail(error.detail, error.exit_code, as_json, code=error.code, field=error.field, extra=error.extra)
        except SERVERS_AWAY as error:
            self._fail(f"a server that is needed does not answer: {error}", ExitCode.DEPENDENCY, as_json, code="UNAVAILABLE")
        except KeyboardInterrupt:
            self._fail("interrupted", ExitCode.INTERRUPTED, as_json, code="INTERRUPTED")
        else:
            self._print(result, as_json)
            self._leave(result)

    def _run_recorded(self, options: dict[str, Any]) -> CommandResult:
        shown = {key: value for key, value in options.items() if key not in _BASE_OPTIONS}
        if not self.records_job or options.get("dry_run"):
            return self._run_watched(options, None)
        run = job_create(job=f"command:{self.name}", at=clock.now(), parameters={key: _shown(value) for key, value in shown.items()})
        with job_run(run) as running:
            result = self._run_watched(options, running.progress)
            running.result = result.data
            running.partial = result.exit_code == ExitCode.PARTIAL
            running.interrupted = self._stop.is_set() and not self.service
        return result

    def _run_watched(self, options: dict[str, Any], job: JobProgress | None) -> CommandResult:
        progress = ConsoleProgress(bar=wants_bar(no_progress=options["no_progress"]), stopping=self._stop.is_set, job=job)
        self.progress = progress
        try:
            if not options.get("dry_run"):
                return self.run(**options)
            with transaction.atomic():
                result = self.run(**options)
                transaction.set_rollback(True)
            return CommandResult(
                data={**result.data, "dry_run": True}, text=f"{result.text}\nDry run: nothing was stored.".strip(), exit_code=result.exit_code
            )
        finally:
            progress.close()

    def _print(self, result: CommandResult, as_json: bool) -> None:
        if as_json:
            self.stdout.write(document(result.data))
        if result.text:
            (self.stderr if as_json else self.stdout).write(result.text)

    def _leave(self, result: CommandResult) -> None:
        code = int(result.exit_code)
        if code == ExitCode.OK and self._stop.is_set() and not self.service:
            code = int(ExitCode.INTERRUPTED)
        if code != ExitCode.OK:
            sys.exit(code)

    def _fail(self, detail: str, exit_code: int, as_json: bool, *, code: str, field: str = "", extra: dict[str, Any] | None = None) -> None:
        if as_json:
            self.stdout.write(document({"error": {"code": code, "detail": detail, "field": field, **(extra or {})}}))
        raise CommandError(f"{field}: {detail}" if field else detail, returncode=int(exit_code))

    @contextlib.contextmanager
    def _quiet_stdout(self, as_json: bool) -> Iterator[None]:
        """Keep what libraries print off stdout while a JSON document is promised there."""
        if not as_json:
            yield
            return
        with contextlib.redirect_stdout(sys.stderr):
            yield

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(_number: int, _frame: FrameType | None) -> None:
            if self._stop.is_set():
                raise KeyboardInterrupt
            self._stop.set()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


_BASE_OPTIONS = frozenset(
    {"json", "no_progress", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color", "skip_checks", "dry_run"}
)


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else [str(item) for item in value] if isinstance(value, list) else str(value)
