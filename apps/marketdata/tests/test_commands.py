"""import_bars and run_feed as people type them: output and exit codes."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.marketdata.models import Bar, FeedState
from apps.marketdata.tests.factories import InstrumentFactory, make_series, store_series

HEADER = "date,open,high,low,close,volume\n"
GOOD = "2012-01-03,1,1,1,1,1\n2012-01-04,1,1,1,1,1\n"
BAD = "2012-01-05,0,1,1,1,1\n"


def run(capsys, *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one manage.py command."""
    code = 0
    try:
        call_command(*map(str, words))
    except CommandError as error:
        code = error.returncode
    except SystemExit as error:
        code = int(error.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.django_db
class TestImportBars:
    @pytest.fixture(autouse=True)
    def instrument(self) -> None:
        InstrumentFactory(symbol="AAA")

    @pytest.fixture
    def file(self, tmp_path: Path):
        def write(content: str, name: str = "AAA.csv") -> Path:
            (tmp_path / name).write_text(content)
            return tmp_path / name

        return write

    def test_all_good_is_zero(self, capsys, file) -> None:
        code, out, _ = run(capsys, "import_bars", file(HEADER + GOOD))
        assert code == 0
        assert "2 inserted" in out

    def test_some_rejected_is_three_and_says_where(self, capsys, file) -> None:
        path = file(HEADER + GOOD + BAD)
        code, _, err = run(capsys, "import_bars", path)
        assert code == 3
        assert f"{path}:4: PRICE_NOT_POSITIVE open" in err
        assert Bar.objects.count() == 2

    def test_json_is_one_document_with_every_rejection(self, capsys, file) -> None:
        code, out, err = run(capsys, "import_bars", file(HEADER + BAD * 60), "--json")
        document = json.loads(out)
        assert code == 3
        assert (document["rejected"], len(document["files"][0]["rejected"])) == (60, 60)
        assert document["files"][0]["rejected"][59]["line"] == 61
        assert "10 more" in err

    def test_only_unknown_symbols_is_usage(self, capsys, file) -> None:
        code, _, err = run(capsys, "import_bars", file(HEADER + GOOD, "NEW.csv"))
        assert code == 2
        assert "'NEW'" in err

    @pytest.mark.parametrize("words", [["--symbol", "ZZZ"], ["--timeframe", "2d"], ["--source", " "]])
    def test_bad_options_are_usage(self, capsys, file, words) -> None:
        code, out, _ = run(capsys, "import_bars", file(HEADER + GOOD), *words, "--json")
        assert code == 2
        assert json.loads(out)["error"]["field"] == words[0].removeprefix("--")
        assert not Bar.objects.exists()

    def test_missing_file_is_usage(self, capsys, tmp_path) -> None:
        assert run(capsys, "import_bars", tmp_path / "none.csv")[0] == 2

    def test_strict_stores_nothing_of_a_bad_file(self, capsys, file) -> None:
        code, _, err = run(capsys, "import_bars", file(HEADER + GOOD + BAD), "--strict")
        assert code == 3
        assert "refused as a whole" in err
        assert not Bar.objects.exists()

    def test_dry_run_counts_and_stores_nothing(self, capsys, file) -> None:
        code, out, _ = run(capsys, "import_bars", file(HEADER + GOOD), "--dry-run", "--json")
        assert code == 0
        assert json.loads(out)["inserted"] == 2
        assert not Bar.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestRunFeed:
    def test_replays_and_says_what_it_did(self, capsys) -> None:
        store_series(make_series("AAA", [1.0, 2.0]))
        code, out, _ = run(capsys, "run_feed", "--once", "--session-seconds", "0", "--json")
        assert code == 0
        assert json.loads(out) == {"sessions": 2, "steps": 8, "ticks": 8, "coalesced": json.loads(out)["coalesced"], "faults": 0}
        assert FeedState.objects.get().ended

    @pytest.mark.parametrize(
        ("words", "field"),
        [
            (["--start", "soon"], "start"),
            (["--symbols", "ZZZ"], "symbols"),
            (["--session-seconds", "-1"], "session_seconds"),
            (["--name", "x" * 51], "name"),
        ],
    )
    def test_bad_options_are_usage(self, capsys, words, field) -> None:
        store_series(make_series("AAA", [1.0, 2.0]))
        code, out, _ = run(capsys, "run_feed", "--once", *words, "--json")
        assert (code, json.loads(out)["error"]["field"]) == (2, field)
        assert not FeedState.objects.exists()
