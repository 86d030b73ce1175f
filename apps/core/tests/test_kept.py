"""What a process keeps."""

import pytest

from apps.core import kept
from apps.core.kept import Kept, Remembered, forget_everything


def test_what_was_used_least_recently_goes_first() -> None:
    few: Kept[str, int] = Kept(most=2)
    few.put("a", 1)
    few.put("b", 2)
    assert few.get("a") == 1
    few.put("c", 3)
    assert [few.get(key) for key in "abc"] == [1, None, 3]
    few.put("c", 4)
    assert (few.get("c"), len(few)) == (4, 2)
    few.clear()
    assert (few.get("c"), len(few)) == (None, 0)


def test_it_is_too_old_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(kept.wall, "monotonic", lambda: now[0])
    short: Kept[str, int] = Kept(most=2, seconds=10)
    short.put("a", 1)
    now[0] = 10.0
    assert short.get("a") == 1
    now[0] = 10.5
    assert short.get("a") is None
    short.put("a", 2)
    assert short.get("a") == 2


def test_all_of_it_is_forgotten_at_once() -> None:
    one: Kept[int, int] = Kept(most=1)
    other: Kept[int, int] = Kept(most=1)
    one.put(1, 1)
    other.put(2, 2)
    forget_everything()
    assert (one.get(1), other.get(2)) == (None, None)


def test_a_remembered_answer_is_that_of_the_very_same_objects() -> None:
    asked: list[tuple[list[int], list[int]]] = []

    def work(one: list[int], other: list[int]) -> list[int]:
        asked.append((one, other))
        return [*one, *other]

    remembered = Remembered(work, most=2)
    one, other = [1], [2]
    first = remembered(one, other)
    assert first == [1, 2]
    assert remembered(one, other) is first
    assert remembered(other, one) == [2, 1]
    assert remembered([1], [2]) == first  # equal, not the same
    assert remembered(one, other) is not first  # two are kept
    assert len(asked) == 4
