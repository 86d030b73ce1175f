"""The feed's durable memory: what was acknowledged is read again, what was cut off is not."""

from pathlib import Path

import pytest

from apps.core.errors import Unavailable
from apps.marketdata.services.feeds.spool import Place, Spool, SpoolFull, batches, forget_before, orphans, remove, segments


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "feed"


START = Place()


def read(folder: Path, after: Place = START, upto: Place | None = None) -> list[list]:
    return [records for records, _ in batches(folder, after, upto)]


def test_what_was_put_in_comes_out_in_order(root: Path) -> None:
    spool = Spool(root)
    spool.append([["t", 1, 5, 7, 0.1, 1e300, "x"], ["q", 2]])
    spool.append([["f", "é\n"]])
    assert read(spool.folder) == [[["t", 1, 5, 7, 0.1, 1e300, "x"], ["q", 2]], [["f", "é\n"]]]
    assert list(batches(spool.folder, Place()))[-1][1] == spool.durable


def test_reading_goes_on_at_a_place_and_ends_at_one(root: Path) -> None:
    spool = Spool(root, segment_bytes=1)  # a segment for each batch
    places = []
    for number in range(4):
        spool.append([[number]])
        places.append(spool.durable)
    assert [place.segment for place in places] == [1, 2, 3, 4]
    assert read(spool.folder, places[1]) == [[[2]], [[3]]]
    assert read(spool.folder, places[0], places[2]) == [[[1]], [[2]]]
    forget_before(spool.folder, places[2])
    assert len(segments(spool.folder)) == 2
    assert read(spool.folder, places[2]) == [[[3]]]


def test_a_line_that_a_crash_cut_off_was_never_there(root: Path) -> None:
    spool = Spool(root)
    spool.append([["whole"]])
    spool.append([["cut"]])
    path = segments(spool.folder)[0]
    path.write_bytes(path.read_bytes()[:-3])
    assert read(spool.folder) == [[["whole"]]]


def test_damage_in_the_middle_is_no_crash_and_is_refused(root: Path) -> None:
    spool = Spool(root)
    spool.append([["one"]])
    spool.append([["two"]])
    path = segments(spool.folder)[0]
    path.write_bytes(path.read_bytes().replace(b"one", b"0ne"))
    with pytest.raises(Unavailable, match="damaged at byte 0"):
        read(spool.folder)


def test_no_room_means_not_acknowledged_and_nothing_half_written(root: Path) -> None:
    spool = Spool(root, limit_bytes=100)
    spool.append([["x" * 50]])
    before = spool.durable
    with pytest.raises(SpoolFull):
        spool.append([["y" * 50]])
    assert spool.durable == before
    spool.append([["z"]])
    assert read(spool.folder) == [[["x" * 50]], [["z"]]]


def test_a_disk_that_fails_leaves_the_spool_as_it_was(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(root)
    spool.append([["one"]])

    def fail(_number: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", fail)
        with pytest.raises(SpoolFull, match="No space left"):
            spool.append([["two"]])
    spool.append([["three"]])
    assert read(spool.folder) == [[["one"]], [["three"]]]


def test_only_a_dead_runs_spool_is_an_orphan(root: Path) -> None:
    alive, dead = Spool(root), Spool(root)
    dead.append([["left"]])
    dead.close()
    assert [folder.name for folder in orphans(root)] == [dead.name]
    remove(dead.folder)
    assert list(orphans(root)) == []
    alive.close()
    assert [folder.name for folder in orphans(root)] == [alive.name]
    assert list(orphans(root / "nothing")) == []
