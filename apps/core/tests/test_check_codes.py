"""The codes of the gate: each is documented, and each that the code answers with is one of them."""

import re
from pathlib import Path

from apps.core.check_codes import CheckCode, Stage, check_place, remedy

ROOT = Path(__file__).parents[3]
SEED_003 = {"RATE_LIMIT_GLOBAL", "RATE_LIMIT_SYMBOL", "INSUFFICIENT_CAPITAL", "POSITION_SIZE_LIMIT", "POSITION_VALUE_LIMIT", "TOTAL_EXPOSURE_LIMIT"}


def test_the_document_has_the_table_of_the_enum() -> None:
    rows = re.findall(r"^\| `([A-Z_0-9]+)` \| (.*?) \| (.*?) \| (.*?) \|$", (ROOT / "docs" / "gate.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(str(code), str(code.stage), code.authority, code.meaning) for code in CheckCode]


def test_every_code_that_the_checks_answer_with_is_in_the_enum() -> None:
    sources = [*ROOT.glob("apps/risk/domain/*.py"), *ROOT.glob("apps/risk/services/pretrade.py"), *ROOT.glob("apps/compliance/*/pretrade.py")]
    sources.append(ROOT / "apps/compliance/domain/account_checks.py")
    said = {code for source in sources for code in re.findall(r'(?:code=|\(|limit, |^ +\()"([A-Z][A-Z_0-9]+)"', source.read_text(encoding="utf-8"))}
    assert said == {str(code) for code in CheckCode}


def test_the_codes_of_seed_003_are_there_and_stages_are_in_order() -> None:
    assert set(CheckCode) >= SEED_003
    stages = [list(Stage).index(code.stage) for code in CheckCode]
    assert stages == sorted(stages)
    assert check_place("NO_LONGER_MADE") > max(check_place(code) for code in CheckCode)


def test_a_block_says_who_can_change_it() -> None:
    assert "Risk managers" in remedy("ORDER_VALUE_LIMIT")
    assert "Compliance" in remedy("RESTRICTED_INSTRUMENT")
    assert remedy("DUPLICATE") == remedy("a code of yesterday") == ""
