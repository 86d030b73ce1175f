"""The shape of every command: output, exit codes, interruption, dry run. Signals and exit codes through real processes."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import Conflict, DeskError, IntegrityBroken, InvalidInput, NotFound, NotPermitted, RuleRefused, TradingHalted, Unavailable
from apps.core.models import JobRun, JournalEntry, User
from apps.core.models.jobs import JobState

pytestmark = pytest.mark.django_db(transaction=True)


class Command(DeskCommand):
    """A command of this test: does what its class is told."""

    offers_dry_run = True
    records_job = True
    outcome: Any = CommandResult(data={"n": 1}, text="one")

    def run(self, **options: Any) -> CommandResult:
        print("noise from a library")  # noqa: T201
        User.objects.get_or_create(username="from-command")
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def run(outcome: Any = None, **options: Any) -> tuple[int, str, str]:
    command = Command(stdout=io.StringIO(), stderr=io.StringIO())
    command.outcome = outcome or Command.outcome
    code = 0
    try:
        call_command(command, **options)
    except SystemExit as stop:
        code = int(stop.code or 0)
    except CommandError as error:
        code = error.returncode
    return code, command.stdout.getvalue(), command.stderr.getvalue()


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (CommandResult(), 0),
        (CommandResult(exit_code=1), 1),
        (CommandResult(exit_code=3), 3),
        (IntegrityBroken("x"), 1),
        (InvalidInput("x"), 2),
        (NotFound("x"), 2),
        (NotPermitted("x"), 4),
        (Conflict("x"), 4),
        (RuleRefused("x"), 4),
        (TradingHalted("x"), 4),
        (Unavailable("x"), 5),
        (OperationalError("x"), 5),
        (redis.ConnectionError("x"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(outcome: Any, code: int) -> None:
    assert run(outcome)[0] == code
    found, out, _ = run(outcome, json=True)
    assert found == code
    assert isinstance(json.loads(out), dict)


def test_json_is_all_that_stdout_carries(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = run(json=True)
    assert json.loads(out) == {"n": 1}
    assert err.strip() == "one"
    assert "noise" in capsys.readouterr().err


def test_an_error_in_json_names_the_field() -> None:
    _, out, _ = run(InvalidInput("no such symbol", field="symbols", known=3), json=True)
    assert json.loads(out)["error"] == {"code": "INVALID_INPUT", "detail": "no such symbol", "field": "symbols", "known": 3}


def test_people_get_text_on_stdout() -> None:
    assert run()[1].strip() == "one"


def test_a_dry_run_stores_nothing() -> None:
    _, out, _ = run(dry_run=True, json=True)
    assert json.loads(out) == {"n": 1, "dry_run": True}
    assert not User.objects.filter(username="from-command").exists()
    assert not JobRun.objects.exists()


def test_it_acts_under_its_name_and_is_recorded() -> None:
    run()
    assert JournalEntry.objects.get(new__username="from-command").actor == "command:test_commands"
    job = JobRun.objects.get()
    assert (job.job, job.state, job.result) == ("command:test_commands", JobState.SUCCEEDED, {"n": 1})


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(CommandResult(exit_code=3), JobState.PARTIAL), (Conflict("x"), JobState.FAILED), (KeyboardInterrupt(), JobState.CANCELLED)],
)
def test_the_record_says_how_it_ended(outcome: Any, state: JobState) -> None:
    run(outcome)
    assert JobRun.objects.get().state == state


def test_desk_errors_have_the_exit_codes_of_the_table() -> None:
    assert {error.exit_code for error in DeskError.__subclasses__()} <= {1, 2, 4, 5}


LOOP = """
import sys, threading
from apps.core.commands import CommandResult, DeskCommand

class Command(DeskCommand):
    service = {service}
    def run(self, **options):
        self.stderr.write("ready"); self.stderr._out.flush()
        wait = threading.Event()
        while not self.progress.cancelled():
            wait.wait(0.05)
        return CommandResult(data={{"stopped": True}})

Command().run_from_argv(["manage.py", "loop", "--json"])
"""


class TestSignals:
    def start(self, service: bool) -> "subprocess.Popen[str]":
        database = settings.DATABASES["default"]
        code = "import django; django.setup()\n" + LOOP.format(service=service)
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "smarttrader.settings.test", "TEST_NAME": str(database["NAME"])}
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, cwd=Path(settings.BASE_DIR), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        assert any("ready" in line for line in iter(process.stderr.readline, ""))
        return process

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize(("service", "code"), [(False, 130), (True, 0)])
    def test_the_current_item_is_finished_and_the_summary_printed(self, number: signal.Signals, service: bool, code: int) -> None:
        process = self.start(service)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == code
        assert json.loads(out) == {"stopped": True}


def test_help_shows_two_examples_with_their_line_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("audit_verify", "audit_seal", "certify", "run_beat"):
        with pytest.raises(SystemExit):
            call_command(name, "--help")
        shown = capsys.readouterr().out
        assert shown.count(f"\nmanage.py {name}") + shown.count(f"    manage.py {name}") >= 2, name
