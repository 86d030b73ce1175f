"""import_actions as people type it, and what operators do in the admin with what it left in quarantine."""

import gzip
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.roles import Role
from apps.core.tests.factories import UserFactory
from apps.marketdata.models import CorporateAction
from apps.marketdata.selectors.corporate_actions import actions_of
from apps.marketdata.tests.factories import make_series, store_series
from apps.marketdata.tests.test_commands import run

pytestmark = pytest.mark.django_db

HEADER = "symbol,date,action,value\n"
GOOD = "AAA,2012-01-05,split,2\nAAA,2012-01-04,dividend,0.5\n"


@pytest.fixture(autouse=True)
def bars() -> None:
    store_series(make_series("AAA", [100.0, 102.0, 51.5, 52.0]))


@pytest.fixture
def file(tmp_path: Path):
    def write(content: str, name: str = "actions.csv") -> Path:
        data = content.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return tmp_path / name

    return write


class TestCommand:
    @pytest.mark.parametrize("name", ["actions.csv", "actions.csv.gz"])
    def test_all_good_is_zero_and_again_changes_nothing(self, capsys, file, name) -> None:
        path = file(HEADER + GOOD, name)
        code, out, _ = run(capsys, "import_actions", path)
        assert (code, "2 inserted" in out) == (0, True)
        assert "0 inserted, 0 revised, 2 unchanged" in run(capsys, "import_actions", path)[1]

    def test_the_fixtures_columns(self, capsys, file) -> None:
        content = "symbol,date,action,ratio_new_per_old,evidence\nAAA,2012-01-05,split,2,adjustment factor 31.125 -> 15.563; raw close\n"
        assert run(capsys, "import_actions", file(content))[0] == 0

    def test_each_bad_line_is_named_and_the_good_ones_are_stored(self, capsys, file) -> None:
        content = (
            HEADER + "AAA,2012-01-05,split,2\n"
            "AAA,2012-01-05,merger,2\n"
            "\n"
            "AAA,05.01.2012,split,2\n"
            "AAA,2012-01-06,split,two\n"
            "AAA,2012-01-06,split,-2\n"
            "ZZZ,2012-01-06,split,2\n"
            "AAA,2012-01-06,split\n"
            "AAA,2012-01-05,split,3\n"
            ",2012-01-05,split,3\n"
            "AAA,2012-01-04,dividend,1e20\n"
        )
        code, out, err = run(capsys, "import_actions", file(content), "--json")
        document = json.loads(out)
        assert (code, document["actions"]["inserted"]) == (3, 1)
        assert [(item["line"], item["column"], item["code"]) for item in document["rejected"]] == [
            (3, "action", "NOT_AN_ACTION"),
            (5, "date", "NOT_A_TIME"),
            (6, "value", "NOT_A_NUMBER"),
            (7, "value", "NOT_A_NUMBER"),
            (8, "symbol", "UNKNOWN_SYMBOL"),
            (9, "", "MALFORMED_LINE"),
            (10, "value", "DUPLICATE"),
            (11, "symbol", "UNKNOWN_SYMBOL"),
            (12, "value", "NOT_A_NUMBER"),
        ]
        assert "actions.csv:5: NOT_A_TIME date: '05.01.2012'" in err

    def test_what_the_bars_contradict_is_said(self, capsys, file) -> None:
        code, _, err = run(capsys, "import_actions", file(HEADER + "AAA,2012-01-04,split,2\n"))
        assert code == 3
        assert "in quarantine: AAA split 2012-01-04: NOT_IN_THE_DATA: a split of 2 for one says x 0.5" in err

    def test_strict_stores_nothing_of_a_bad_file(self, capsys, file) -> None:
        code, _, err = run(capsys, "import_actions", file(HEADER + GOOD + "ZZZ,2012-01-06,split,2\n"), "--strict")
        assert (code, "refused as a whole" in err) == (3, True)
        assert not CorporateAction.objects.exists()

    def test_dry_run_stores_nothing(self, capsys, file) -> None:
        assert run(capsys, "import_actions", file(HEADER + GOOD), "--dry-run")[0] == 0
        assert not CorporateAction.objects.exists()

    def test_dividends_in_shares_of_today_become_those_that_were_paid(self, capsys, file) -> None:
        run(
            capsys,
            "import_actions",
            file(HEADER + "AAA,2012-01-04,dividend,0.25\nAAA,2012-01-05,split,2\nAAA,2012-01-06,dividend,0.25\n"),
            "--split-adjusted",
        )
        assert {item.ex_date: item.value for item in actions_of(symbol="AAA")} == {
            date(2012, 1, 4): Decimal("0.5"),
            date(2012, 1, 5): Decimal(2),
            date(2012, 1, 6): Decimal("0.25"),
        }

    @pytest.mark.parametrize(
        ("content", "fault"), [("", "no column symbol"), ("symbol,date,close\n", "no column action, value"), (None, "No such file")]
    )
    def test_no_file_of_actions_is_usage(self, capsys, file, tmp_path, content, fault) -> None:
        path = tmp_path / "none.csv" if content is None else file(content)
        code, out, _ = run(capsys, "import_actions", path, "--json")
        assert code == 2
        assert fault in json.loads(out)["error"]["detail"]
        assert not CorporateAction.objects.exists()

    def test_only_unknown_symbols_is_usage(self, capsys, file) -> None:
        assert run(capsys, "import_actions", file(HEADER + "ZZZ,2012-01-06,split,2\n"))[0] == 2


class TestAdmin:
    @pytest.fixture
    def waiting(self, capsys, file) -> CorporateAction:
        run(capsys, "import_actions", file(HEADER + "AAA,2012-01-04,split,2\n"))
        return CorporateAction.objects.get()

    def post(self, role: Role, action: str, row: CorporateAction, reason: str) -> str:
        client = Client()
        client.force_login(UserFactory(role=role, is_staff=True))
        data = {"action": action, "_selected_action": [row.pk], "reason": reason}
        return client.post(reverse("admin:marketdata_corporateaction_changelist"), data, follow=True).content.decode()

    def test_an_operator_releases_with_a_reason(self, waiting) -> None:
        assert "reason of 1 to 500 characters" in self.post(Role.OPERATOR, "release", waiting, " ")
        assert "is applied" in self.post(Role.OPERATOR, "release", waiting, "the exchange says so")
        assert [item.status for item in actions_of(symbol="AAA")] == ["applied"]

    def test_an_operator_withdraws(self, waiting) -> None:
        self.post(Role.OPERATOR, "withdraw", waiting, "a misprint")
        assert [(item.status, item.reason) for item in actions_of(symbol="AAA")] == [("withdrawn", "a misprint")]

    def test_an_auditor_only_reads(self, waiting) -> None:
        assert "NOT_IN_THE_DATA" in self.post(Role.AUDITOR, "release", waiting, "I may not")
        assert [item.status for item in actions_of(symbol="AAA")] == ["quarantined"]
