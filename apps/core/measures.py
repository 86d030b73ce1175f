"""The register of measures: every public number of the desk under a dotted name, with its units, convention and source.

Apps name the modules that hold measures when Django becomes ready; the modules are imported on first use, since numbers need heavy
libraries and most processes need no numbers.
"""

import importlib
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from apps.core.errors import InvalidInput

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A registered pure function. Its parameters are those of its signature.

    `groups` are names under which several parameters may be given as one object: `{"columns": {"close": [...]}}`.
    """

    name: str
    function: Callable[..., Any]
    units: str
    convention: str
    source: str
    groups: tuple[str, ...] = ()

    @property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    def as_dict(self) -> dict[str, Any]:
        """The measure's description as REST and the notes beside numbers show it."""
        parameters = [
            {"name": parameter.name, "required": parameter.default is parameter.empty, "default": _default(parameter)}
            for parameter in self.signature.parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        description = (inspect.getdoc(self.function) or "").split("\n\n")[0].replace("\n", " ")
        return {
            "name": self.name,
            "parameters": parameters,
            "units": self.units,
            "convention": self.convention,
            "source": self.source,
            "description": description,
        }


def _default(parameter: inspect.Parameter) -> Any:
    value = parameter.default
    if value is parameter.empty:
        return None
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


_registered: dict[str, Measure] = {}
_waiting: list[str] = []
_lock = threading.Lock()


def measure(name: str, *, units: str, convention: str = "", source: str = "", groups: tuple[str, ...] = ()) -> Callable[[Function], Function]:
    """Register a pure function under a dotted name. Raises ValueError when another function has the name."""

    def register(function: Function) -> Function:
        there = _registered.get(name)
        if there is not None and (there.function.__module__, there.function.__qualname__) != (function.__module__, function.__qualname__):
            raise ValueError(f"measure {name} is registered twice: {there.function.__module__} and {function.__module__}")
        _registered[name] = Measure(name=name, function=function, units=units, convention=convention, source=source, groups=groups)
        return function

    return register


def register_measures(*modules: str) -> None:
    """Name modules whose import registers measures, from AppConfig.ready(). They are imported on first use."""
    _waiting.extend(module for module in modules if module not in _waiting)


def unfold(inputs: Mapping[str, Any], groups: Iterable[str]) -> dict[str, Any]:
    """The inputs with what stands in an object of a group laid beside the others.

    Raises TypeError, as a call would, for a group that is no object and for an input that is given twice.
    """
    found = {name: value for name, value in inputs.items() if name not in groups}
    for group in groups:
        inner = inputs.get(group, {})
        if not isinstance(inner, Mapping):
            raise TypeError(f"{group} is an object")
        if twice := found.keys() & inner.keys():
            raise TypeError(f"given twice: {', '.join(sorted(twice))}")
        found |= inner
    return found


def measures() -> dict[str, Measure]:
    """All measures by name, in order."""
    with _lock:
        while _waiting:
            importlib.import_module(_waiting[0])
            _waiting.pop(0)
    return dict(sorted(_registered.items()))


registry = measures


def measure_get(name: str) -> Measure:
    """One measure. Raises InvalidInput for a name that nobody registered."""
    found = measures().get(name)
    if found is None:
        raise InvalidInput(f"no measure is registered as {name!r}", field="measure")
    return found
