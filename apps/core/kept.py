"""What a process keeps of what it has read or computed: bounded, for all its threads, what was used least recently goes first."""

import threading
import time as wall
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
_all: "WeakSet[Kept[Any, Any]]" = WeakSet()


class Kept(Generic[Key, Value]):
    """At most `most` values by key, none of them for longer than `seconds` after it was put (for ever without). Values are shared: nobody
    changes them. Whether one still holds says whoever asks."""

    def __init__(self, *, most: int, seconds: float = float("inf")) -> None:
        self._most, self._seconds = most, seconds
        self._lock = threading.Lock()
        self._values: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        _all.add(self)

    def get(self, key: Key) -> Value | None:
        """The value, None when it is not there any more."""
        with self._lock:
            found = self._values.get(key)
            if found is None or wall.monotonic() - found[0] > self._seconds:
                return None
            self._values.move_to_end(key)
            return found[1]

    def put(self, key: Key, value: Value) -> None:
        """Keep the value in place of an earlier one."""
        with self._lock:
            self._values[key] = wall.monotonic(), value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()

    def __len__(self) -> int:
        return len(self._values)


def forget_everything() -> None:
    """Clear all that the process keeps: what comes next belongs to another database."""
    for kept in tuple(_all):
        kept.clear()
