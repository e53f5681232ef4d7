"""What an ordinary day sells in some hours, from a history that may be mostly promotion: a regression on the kind of day and on promotions."""

from dataclasses import dataclass
from math import exp, log

import numpy as np
import polars as pl

from warehouse.analysis.calendar import near_feast, types_of
from warehouse.analysis.effects import promotions_of
from warehouse.analysis.errors import HistoryError
from warehouse.analysis.intervals import PRIOR_SPREAD, PRIOR_WINDOWS
from warehouse.analysis.panel import Array, Mask, Rows
from warehouse.analysis.times import DAY, date_of, spans_of

Part = tuple[int, int, int]
"""A day since 1970, and the minutes of it from which to which."""


@dataclass(frozen=True)
class Prediction:
    """A logarithm that is predicted: its centre, its scale, and the degrees of freedom of its t; whether the kind of day was ever seen."""

    centre: float
    scale: float
    freedom: float
    kind_seen: bool = True

    def density(self, at: Array) -> Array:
        """Student's t, without its constant."""
        found: Array = (1 + ((at - self.centre) / self.scale) ** 2 / self.freedom) ** (-(self.freedom + 1) / 2)
        return found


@dataclass(frozen=True)
class OrdinaryDays:
    """The days of a history, near a great feast none: ``kinds``, in which promotion of unknown factor each is (-1: none), the log of known factors, ``gaps`` to leave out."""

    rows: Rows
    days: list[int]
    calendar: pl.DataFrame | None
    promotion: Array
    known: Array
    gaps: list[tuple[int, int]]

    @classmethod
    def of(cls, rows: Rows, opens: int, calendar: pl.DataFrame | None, promotions: pl.DataFrame | None, exclusions: pl.DataFrame | None) -> "OrdinaryDays":
        """Whole days from the first row to the one before ``opens`` (local minutes)."""
        first = -(-int(rows.minute.min()) // DAY)
        days = [day for day in range(first, opens // DAY) if not near_feast(date_of(day))]
        begins = np.array(days) * DAY
        said = promotions_of(promotions)
        promotion, known = np.full(len(days), -1.0), np.zeros(len(days))
        for number, (low, high) in enumerate(said.unknown):
            promotion[(begins < high) & (begins + DAY > low)] = number
        for low, high, factor in said.known:
            known[(begins < high) & (begins + DAY > low)] = log(factor)
        gaps = [(low, high) for low, high, market in spans_of(exclusions, "exclusions") if market is None]
        return cls(rows, days, calendar, promotion, known, gaps)

    @property
    def with_sales(self) -> int:
        """Days that sold anything, in promotions too."""
        return int((self._sold((0, 0, DAY)) > 0).sum())

    @property
    def count(self) -> int:
        """Days outside promotions that sold anything."""
        return int((self._plain & (self._sold((0, 0, DAY)) > 0)).sum())

    @property
    def _plain(self) -> Mask:
        plain: Mask = (self.promotion < 0) & (self.known == 0)
        return plain

    def predict(self, parts: list[Part], before: Part | None = None) -> Prediction:
        """The log of what ordinary days sell in the parts together, or of its ratio to what they sell in the part ``before``.

        Raises:
            HistoryError: no day that carries the level has sales there.
        """
        found = [self._one(part, before) for part in parts]
        size = np.array([exp(one.centre) for one in found])
        # parts of one launch err together
        scale = float(size @ [one.scale for one in found] / size.sum())
        return Prediction(log(size.sum()), scale, min(one.freedom for one in found), all(one.kind_seen for one in found))

    def _one(self, part: Part, before: Part | None) -> Prediction:
        sold = self._sold(part)
        base = np.ones(len(sold)) if before is None else self._sold(before)
        use = (sold > 0) & (base > 0)
        carries = int((use & (self.promotion < 0)).sum())
        if not carries:
            raise HistoryError(
                "sales: expected at least one day before the opening, outside promotions of unknown factor, with sales in the hours of the window, got none. "
                "Load more days, or give the promotions' factors."
            )
        answer = np.log(sold[use] / base[use]) - (self.known[use] if before is None else 0.0)
        types = types_of([date_of(self.days[i]) for i in np.flatnonzero(use)] + [date_of(part[0])], self.calendar)
        asked, kinds = types[-1], np.array(types[:-1])
        columns = [np.ones(len(answer))]
        columns += [(kinds == kind).astype(float) for kind in sorted(set(kinds)) if kind != asked]
        if asked not in kinds:
            # no kind is the one asked about: all days alike speak for it
            columns = columns[:1]
        columns += [(self.promotion[use] == number).astype(float) for number in np.unique(self.promotion[use]) if number >= 0]
        return _regression(np.stack(columns, axis=1), answer, carries, asked in kinds)

    def _sold(self, part: Part) -> Array:
        """Sales of each day in the part's hours; NaN where a gap touches them."""
        _, low, high = part
        day, minute = np.divmod(self.rows.minute, DAY)
        first = self.days[0] if self.days else 0
        inside = (minute >= low) & (minute < high) & (day >= first)
        found = np.bincount(day[inside] - first, self.rows.sales[inside], max(self.days[-1] - first + 1 if self.days else 0, 0))
        sold = found[np.array(self.days, dtype=np.int64) - first].astype(float)
        begins = np.array(self.days) * DAY
        for gap_low, gap_high in self.gaps:
            sold[(begins + low < gap_high) & (begins + high > gap_low)] = np.nan
        return sold


def _regression(design: Array, answer: Array, carries: int, kind_seen: bool) -> Prediction:  # noqa: FBT001 - told by its name
    """The answer where only the first column is 1, by least squares; ``carries`` days stand behind its level, the others only behind differences.

    The residual variance is blended with a prior spread of 25 %, which counts as three windows: as in ``intervals.band``.
    """
    inverse = np.linalg.pinv(design.T @ design)
    coefficients = inverse @ design.T @ answer
    freedom = len(answer) - np.linalg.matrix_rank(design)
    residual = float(((answer - design @ coefficients) ** 2).sum() / freedom) if freedom > 0 else PRIOR_SPREAD**2
    variance = (PRIOR_WINDOWS * PRIOR_SPREAD**2 + carries * residual) / (PRIOR_WINDOWS + carries)
    scale = (variance * (1 + inverse[0, 0]) + (0.0 if kind_seen else PRIOR_SPREAD**2)) ** 0.5
    return Prediction(float(coefficients[0]), scale, PRIOR_WINDOWS + max(carries - 1, 0), kind_seen)
