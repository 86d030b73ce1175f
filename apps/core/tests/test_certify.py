import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.core import measures as register
from apps.core.certification import Outcome, certify_vector
from apps.core.errors import InvalidInput
from apps.core.measures import measure, measure_get, measures, register_measures

GOOD = {"id": "good", "measure": "core.journal.chain", "inputs": {"events": []}, "expected": []}


@pytest.fixture
def half() -> Any:
    @measure("test.half", units="one", convention="x / 2", source="arithmetic")
    def half(x: float, refuse: bool = False) -> float:
        """Half of a number.

        More.
        """
        if refuse:
            raise InvalidInput("no")
        return x / 2

    yield half
    register._registered.pop("test.half")


def certify(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = 0
    try:
        call_command("certify", "--json", *arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    except CommandError as error:
        code = error.returncode
    return code, json.loads(capsys.readouterr().out)


def write(folder: Path, vectors: Any, name: str = "v.json") -> str:
    path = folder / name
    path.write_text(vectors if isinstance(vectors, str) else json.dumps(vectors))
    return str(path)


class TestRegister:
    def test_it_describes_each_measure(self, half: Any) -> None:
        found = measure_get("test.half").as_dict()
        assert found["description"] == "Half of a number."
        assert found["parameters"][1] == {"name": "refuse", "required": False, "default": False}

    def test_a_name_belongs_to_one_function(self, half: Any) -> None:
        with pytest.raises(ValueError, match="twice"):
            measure("test.half", units="")(lambda: None)

    def test_modules_are_imported_on_first_use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(register, "_waiting", [])
        register_measures("apps.core.domain.chain", "apps.core.domain.chain")
        assert register._waiting == ["apps.core.domain.chain"]
        assert "core.journal.chain" in measures()
        assert register._waiting == []

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(InvalidInput):
            measure_get("no.such")

    def test_every_measure_says_its_units_and_source(self) -> None:
        assert [name for name, found in measures().items() if not (found.units and found.source and found.function.__doc__)] == []


class TestVectors:
    def test_numbers_and_decimal_strings_are_interchangeable(self, half: Any) -> None:
        vector = {"id": "a", "measure": "test.half", "inputs": {"x": "3"}, "expected": "1.50"}
        assert certify_vector(vector, name="a").outcome is Outcome.PASSED

    def test_a_refusal_is_an_answer(self, half: Any) -> None:
        vector = {"id": "a", "measure": "test.half", "inputs": {"x": 1, "refuse": True}, "expected": {"error": "INVALID_INPUT"}}
        assert certify_vector(vector, name="a").outcome is Outcome.PASSED

    @pytest.mark.parametrize(
        "vector",
        [
            None,
            [],
            {},
            {**GOOD, "measure": 3},
            {**GOOD, "inputs": []},
            {**GOOD, "inputs": {"event": []}},
            {**GOOD, "inputs": {}},
            {**GOOD, "tolerance": -1},
            {**GOOD, "tolerance": "x"},
            {**GOOD, "measure": "no.such"},
        ],
    )
    def test_a_malformed_vector_fails_alone(self, vector: Any) -> None:
        assert certify_vector(vector, name="x").outcome is Outcome.MALFORMED


@pytest.mark.django_db
class TestCommand:
    def test_all_shipped_vectors_pass(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, found = certify(capsys)
        assert [result for result in found["results"] if not result["passed"]] == []
        assert code == 0
        assert found["passed"] == len(found["results"]) > 4

    def test_a_difference_is_one(self, tmp_path: Path, half: Any, capsys: pytest.CaptureFixture[str]) -> None:
        vector = {"id": "h", "measure": "test.half", "inputs": {"x": 3}, "expected": 1.6, "tolerance": 0.05}
        code, found = certify(capsys, "--file", write(tmp_path, [vector, GOOD]))
        assert (code, found["passed"], found["failed"]) == (1, 1, 1)
        assert found["results"][0] == {"id": "h", "measure": "test.half", "passed": False, "expected": 1.6, "got": 1.5, "tolerance": 0.05}

    @pytest.mark.parametrize("bad", [{"id": "u", "measure": "no.such", "inputs": {}, "expected": 1}, {"id": "m"}, 7])
    def test_the_unknown_and_the_malformed_are_two_and_hide_nothing(self, tmp_path: Path, bad: Any, capsys: pytest.CaptureFixture[str]) -> None:
        code, found = certify(capsys, "--file", write(tmp_path, [bad, GOOD]))
        assert (code, found["passed"], found["failed"]) == (2, 1, 1)

    @pytest.mark.parametrize("text", ["{", '{"id": 1}', ""])
    def test_a_malformed_file_hides_no_other(self, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        code, found = certify(capsys, "--file", write(tmp_path, text), "--file", write(tmp_path, [GOOD], "w.json"))
        assert (code, found["passed"], found["failed"]) == (2, 1, 1)

    def test_a_file_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert certify(capsys, "--file", str(tmp_path / "none.json"))[0] == 2

    def test_only_a_prefix(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, found = certify(capsys, "--only", "core.journal")
        assert code == 0
        assert {result["measure"] for result in found["results"]} == {"core.journal.chain"}
        assert certify(capsys, "--only", "zzz")[0] == 2
