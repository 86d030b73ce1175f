"""The feed's durable memory: what it has accepted and the database does not have yet, in files under VAR.

A spool is a folder of one run of a feed, with segments of lines. A line is one batch: its checksum, its length, and the ticks and
faults as JSON. A batch is acknowledged when `append` returns: then it is on the disk (fsync), and whatever is killed, it will be in the
database. A line that a crash cut off was never acknowledged; it can only be the last one, and its checksum tells.

The folder's lock is held by the run that writes it, so that another run can tell an orphan (its owner is dead) and bring it home.
"""

import fcntl
import json
import os
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from apps.core.errors import Unavailable

SEGMENT_BYTES = 16 * 1024 * 1024
LIMIT_BYTES = 1024 * 1024 * 1024
LOCK = "lock"
Record = list[Any]


class SpoolFull(Unavailable):
    """There is no room for what has come: it is not acknowledged."""

    code = "SPOOL_FULL"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A point in a spool: number of the segment, bytes into it."""

    segment: int = 1
    offset: int = 0


class Spool:
    """The writing end. Makes a new folder under `root` and holds its lock until `close`."""

    def __init__(self, root: Path, *, limit_bytes: int = LIMIT_BYTES, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.name = uuid4().hex
        self.folder = root / f".{self.name}"  # until its lock is held, nobody may take it for an orphan
        self._limit, self._segment_bytes = limit_bytes, segment_bytes
        self.folder.mkdir(parents=True)
        self._lock = (self.folder / LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.durable = Place()
        self._bytes = 0  # at least what is there: the writer removes segments
        self._file = self._start(1)
        self.folder = self.folder.rename(root / self.name)
        _sync_folder(root)

    def append(self, records: list[Record]) -> None:
        """Put one batch on the disk. Raises SpoolFull, and then nothing of the batch is there."""
        line = _line(records)
        if self._bytes + len(line) > self._limit:
            self._bytes = self.bytes_waiting()
        if self._bytes + len(line) > self._limit:
            raise SpoolFull(f"the spool holds {self._limit} bytes and no more")
        try:
            if self.durable.offset >= self._segment_bytes:
                self._file.close()
                self._file = self._start(self.durable.segment + 1)
                self.durable = Place(self.durable.segment + 1, 0)
            self._file.write(line)
            self._file.flush()
            os.fdatasync(self._file.fileno())
        except OSError as error:
            self._undo()
            raise SpoolFull(f"the spool cannot be written: {error}") from error
        self._bytes += len(line)
        self.durable = Place(self.durable.segment, self.durable.offset + len(line))

    def bytes_waiting(self) -> int:
        """Bytes of the segments that are still there."""
        return sum(path.stat().st_size for path in segments(self.folder))

    def close(self) -> None:
        """Let others have the folder."""
        self._file.close()
        self._lock.close()

    def _start(self, number: int) -> IO[bytes]:
        file = _segment(self.folder, number).open("ab", buffering=0)
        _sync_folder(self.folder)
        return file

    def _undo(self) -> None:
        """Cut off what a failed write left, so that the next line begins where the last good one ended."""
        self._file.close()
        self._file = _segment(self.folder, self.durable.segment).open("ab", buffering=0)
        self._file.truncate(self.durable.offset)


def batches(folder: Path, after: Place, upto: Place | None = None) -> Iterator[tuple[list[Record], Place]]:
    """The batches of a spool after a place, each with the place behind it; to its end or to `upto`.

    Ends at a line that was cut off. Raises Unavailable for a damaged line that others follow: that is no crash but a broken disk.
    """
    for path in segments(folder):
        number = int(path.stem)
        if number < after.segment:
            continue
        start = after.offset if number == after.segment else 0
        with path.open("rb") as file:
            file.seek(start)
            for line in file:
                end = Place(number, start + len(line))
                if upto is not None and end > upto:
                    return
                records = _records(line)
                if records is None:
                    if path != segments(folder)[-1] or file.read(1):
                        raise Unavailable(f"{path} is damaged at byte {start}")
                    return
                start = end.offset
                yield records, end


def forget_before(folder: Path, place: Place) -> None:
    """Remove the segments that lie wholly before a place."""
    for path in segments(folder):
        if int(path.stem) < place.segment:
            path.unlink(missing_ok=True)


def orphans(root: Path) -> Iterator[Path]:
    """Folders whose run is dead, each locked for the caller while it looks at it."""
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.name.startswith("."):
            continue
        try:
            with (folder / LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield folder
        except (BlockingIOError, FileNotFoundError, NotADirectoryError):
            continue


def remove(folder: Path) -> None:
    """Forget a spool that is wholly in the database."""
    shutil.rmtree(folder, ignore_errors=True)


def segments(folder: Path) -> list[Path]:
    """The segments of a spool, oldest first."""
    return sorted(folder.glob("*.spool"))


def _segment(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.spool"


def _line(records: list[Record]) -> bytes:
    text = json.dumps(records, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return b"%08x %d %s\n" % (zlib.crc32(text), len(text), text)


def _records(line: bytes) -> list[Record] | None:
    try:
        checksum, length, text = line.rstrip(b"\n").split(b" ", 2)
        good = line.endswith(b"\n") and int(length) == len(text) and int(checksum, 16) == zlib.crc32(text)
    except ValueError:
        return None
    return list(json.loads(text)) if good else None


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
