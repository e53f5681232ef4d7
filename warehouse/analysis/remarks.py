"""What an estimate says about itself: a code and values for pages in any language, and an English sentence for everybody else."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

SENTENCES = {
    "window_widened": "The window was widened to whole steps of {step} minutes: {start} to {end}.",
    "window_cut": "The window was cut at what is known as of {until}.",
    "no_rows_after": "There are no rows after {after}: taken as no sales. If the data end there, set as_of.",
    "old_history": "The nearest ordinary day is {days} days away ({nearest}): the interval was widened for what may have changed since.",
    "level_unseen": "Today's level, {level:.2f} times the expected, is beyond any in the history; that it lasts is an assumption; the interval was widened.",
    "few_windows": "Only {windows} independent past windows; a conformal interval of {confidence:.0%} needs {needed}. Instead: {interval}.",
    "controls_used": "Markets that were not hit are used as controls; if buyers went there, the loss is overstated. Without controls it is {amount:,.0f}.",
    "controls_not_used": "Markets that were not hit are not used as controls: an exclusion without a market overlaps the window.",
    "market_days_not_used": "Market days were not used: too few of them in the history to learn what they carry.",
    "promotion_unknown": "A promotion without a factor overlaps the window: expected sales know of it only through the hours before.",
    "hours_unseen": "No ordinary day holds some hours of the window, the first at {start}: nothing is expected in them.",
    "nothing_expected": "The places hit sold nothing in the history that is learnt from: nothing can be expected of them, and the interval says nothing.",
    "interval_conformal": "conformal, from the errors of {windows} past windows of the same length and hours, each learnt without its own day",
    "interval_t": "Student's t on the relative errors of {windows} past windows",
    "interval_prior": "Student's t on {windows} past windows and a prior spread of 25 %",
    "method": (
        "Gross shortfall = expected - observed. Expected: weighted mean of days of the same kind (half-life 7 days), markets with few sales leaning on the "
        "pooled profile, times what the day before the window tells of the shocks of nation, region and market (best linear prediction). Interval: {interval}."
    ),
    "method_with_controls": (
        "Gross shortfall = expected - observed. Expected: weighted mean of days of the same kind (half-life 7 days), markets with few sales leaning on the "
        "pooled profile, times what the day before the window, and the markets not hit in the same hours, tell of the shocks of nation, region and market. "
        "Interval: {interval}."
    ),
}
"""Every remark by its code. Moments are local; ``amount`` is in the unit of the sales, ``level`` and ``confidence`` are shares of 1."""


class Remark(str):
    """An English sentence that also says its ``code`` and the ``values`` in it; a value may be a remark itself."""

    __slots__ = ("code", "values")
    code: str
    values: Mapping[str, Any]

    def __new__(cls, code: str, values: Mapping[str, Any] | None = None) -> Self:
        """The remark of a code of ``SENTENCES``; any other is a bug and a KeyError."""
        remark = super().__new__(cls, SENTENCES[code].format_map(values or {}))
        remark.code, remark.values = code, MappingProxyType(dict(values or {}))
        return remark

    def __getnewargs__(self) -> tuple[str, dict[str, Any]]:  # type: ignore[override]
        """What a copy, also one in another process, is made from."""
        return self.code, dict(self.values)

    def __getstate__(self) -> None:
        """Nothing beyond that."""
