"""Each indicator as a measure `marketdata.indicator.<name>`: columns and parameters in, the series out; several lines as an object.

Columns and parameters may each stand in an object of that name, or beside one another.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from apps.core.measures import measure, unfold
from apps.marketdata.domain.indicators.kinds import Indicator, Numbers
from apps.marketdata.domain.indicators.registry import COLUMNS, compute, indicators

#: Names under which columns, and parameters, may be given together.
GROUPS = ("columns", "parameters")
Result = Numbers | dict[str, Numbers]
NAN_RULE = "NaN while warming up; a row with a NaN is a missing bar and left out"


def _measure_of(indicator: Indicator) -> Callable[..., Result]:
    """A function with the indicator's own signature, by which the register describes it and `certify` binds inputs.

    Columns that the indicator does not look at are taken and ignored, so that one table of bars serves all.
    """

    def series(**given: Any) -> Result:
        given = unfold(given, GROUPS)
        columns: Mapping[str, Any] = {key: value for key, value in given.items() if key in COLUMNS}
        lines = compute(indicator.name, columns, {key: value for key, value in given.items() if key not in COLUMNS})
        return lines if len(indicator.lines) > 1 else lines[indicator.lines[0].name]

    keyword = inspect.Parameter.KEYWORD_ONLY
    needed = [inspect.Parameter(key, keyword) for key in indicator.columns if key not in indicator.optional]
    optional = [inspect.Parameter(key, keyword, default=None) for key in indicator.optional]
    parameters = [inspect.Parameter(item.name, keyword, default=item.default) for item in indicator.parameters]
    others = [inspect.Parameter("others", inspect.Parameter.VAR_KEYWORD)]
    series.__name__ = indicator.name
    series.__qualname__ = f"indicator.{indicator.name}"
    series.__doc__ = f"{indicator.title}. {indicator.description}"
    series.__signature__ = inspect.Signature([*needed, *parameters, *optional, *others])  # type: ignore[attr-defined]
    series.__annotations__ = {key: list[float] for key in COLUMNS if key != "session"} | {item.name: float for item in indicator.parameters}
    return series


def _register() -> None:
    for indicator in indicators().values():
        units = "; ".join(f"{line.name}: {line.units}" for line in indicator.lines) if len(indicator.lines) > 1 else indicator.lines[0].units
        convention = f"{indicator.convention}; {NAN_RULE}" if indicator.convention else NAN_RULE
        measure(f"marketdata.indicator.{indicator.name}", units=units, convention=convention, source=indicator.source, groups=GROUPS)(
            _measure_of(indicator)
        )


_register()
