"""Demand of days as a dynamic linear model: a level that wanders, what lasts for days, and what kinds of day do to it; and its rhythm by hour."""

from dataclasses import dataclass, replace

import numpy as np

from warehouse.analysis.panel import Array, Mask
from warehouse.analysis.special_days import SpecialDays

LASTS = 0.7
"""How much of a day's own deviation the next day keeps."""

OUTLIER = 2.5
"""Deviations are cut at so many standard deviations: a day of storm says little of the next week."""

RHYTHM_HALF_LIFE = 21.0
KIND_DAYS, PLAIN_DAYS = 2.0, 0.3
"""A weekday's own rhythm leans on that of its kind with the weight of two days, a kind's on all days' with a third of one."""

SCALES = (0.02, 0.04, 0.07, 0.12, 0.2, 0.35)
WANDERS = (0.02, 0.1, 0.25, 0.5)
LASTING = (0.3, 0.8, 1.5)


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a day's logarithm: by chance, by which the level ``wanders`` a day, and of what ``lasting`` comes new each day."""

    chance: float
    wanders: float
    lasting: float


@dataclass(frozen=True)
class Filtered:
    """States after each day: ``means`` [day, place, column], ``spreads`` [day, column, column] of all places alike. The last column lasts for days."""

    means: Array
    spreads: Array
    noise: Noise
    likelihood: float

    def ahead(self, origin: int, design: Array) -> tuple[Array, Array]:
        """Mean and standard deviation [place, horizon] of the logarithm of the days after the ``origin`` (-1: before any), whose rows are ``design``."""
        horizon = np.arange(1, len(design) + 1)
        rows = np.column_stack([design, LASTS**horizon])
        spread = np.einsum("hi,ij,hj->h", rows, self.spreads[origin], rows)
        lasting = self.noise.lasting**2 * (1 - LASTS ** (2 * horizon)) / (1 - LASTS**2)
        variance = spread + horizon * self.noise.wanders**2 + lasting + self.noise.chance**2
        return self.means[origin] @ rows.T, np.broadcast_to(np.sqrt(variance), (len(self.means[origin]), len(design)))


def filtered(logs: Array, share: Array, special: SpecialDays, noise: Noise) -> Filtered:
    """Run over the days [place, day] of ``logs``; ``share`` [day] of each was seen. West and Harrison (1997), "Bayesian Forecasting and Dynamic Models"."""
    places, days = logs.shape
    design = np.column_stack([special.design[:days], np.ones(days)])
    size = design.shape[1]
    mean = np.tile(np.append(special.means, 0.0), (places, 1))
    seen = share > 0
    mean[:, 0] = logs[:, np.flatnonzero(seen)[:7]].mean(axis=1) if seen.any() else 0.0
    cover = np.diag(np.append(special.spreads, 0.0) ** 2)
    means, spreads = np.empty((days, places, size)), np.empty((days, size, size))
    likelihood = 0.0
    for day in range(days):
        mean = mean.copy()
        mean[:, -1] *= LASTS
        cover[-1, :] *= LASTS
        cover[:, -1] *= LASTS
        cover[0, 0] += noise.wanders**2
        cover[-1, -1] += noise.lasting**2
        if seen[day]:
            row = design[day]
            gain = cover @ row
            variance = float(row @ gain) + noise.chance**2 / share[day]
            missed = logs[:, day] - mean @ row
            if day >= 7:
                # Student's t with 5 degrees: what the model is chosen by must bear storms too
                likelihood -= float(3 * np.log1p(missed[0] ** 2 / variance / 5) + np.log(variance) / 2)
            cut = OUTLIER * np.sqrt(variance) if day >= 7 else np.inf
            mean += np.outer(np.clip(missed, -cut, cut), gain / variance)
            cover = cover - np.outer(gain, gain) / variance
        means[day], spreads[day] = mean, cover
    return Filtered(means, spreads, noise, likelihood)


def fitted(logs: Array, share: Array, special: SpecialDays) -> Filtered:
    """The noise under which the days of the one place were likeliest, one number at a time, and the filter with it."""
    best = filtered(logs, share, special, Noise(0.1, 0.01, 0.05))
    for name, tried in (("chance", SCALES), ("wanders", WANDERS), ("lasting", LASTING), ("chance", SCALES)):
        for value in tried:
            scale = 1.0 if name == "chance" else best.noise.chance
            if name == "chance":
                of = best.noise
                noise = Noise(value, of.wanders / of.chance * value, of.lasting / of.chance * value)
            else:
                noise = replace(best.noise, **{name: value * scale})
            found = filtered(logs, share, special, noise)
            best = max(best, found, key=lambda one: one.likelihood)
    return best


def rhythms(values: Array, seen: Mask, special: SpecialDays) -> Array:
    """Shares of a day by slot [day, weekday 0-7, place, slot] as known after each day; ``values`` [place, day, slot], ``seen`` [day, slot].

    A place's weekday leans on its kind of day, a kind on all days; recent days weigh more. A holiday has its kind's rhythm.
    """
    places, days, slots = values.shape
    keep = 0.5 ** (1 / RHYTHM_HALF_LIFE)
    sums, counts = np.zeros((8, places, slots)), np.zeros((8, 1, slots))
    found = np.empty((days, 8, places, slots))
    kinds = np.array([0, 0, 0, 0, 0, 1, 2, 2])
    pool = (kinds[:, None] == kinds).astype(float)
    last: Array | None = None
    for day in range(days):
        if seen[day].any():
            sums *= keep
            counts *= keep
            total = values[:, day].sum(axis=1, keepdims=True)
            share = np.divide(values[:, day], total, out=np.zeros((places, slots)), where=total > 0)
            sums[special.weekdays[day]] += share * seen[day]
            counts[special.weekdays[day]] += seen[day]
            last = None
        if last is None:
            every = _mean(sums.sum(axis=0)[None], counts.sum(axis=0)[None], np.full((1, places, slots), 1 / slots), 0.1)
            by_kind = _mean(np.tensordot(pool, sums, 1), np.tensordot(pool, counts, 1), every, PLAIN_DAYS)
            last = _mean(sums, counts, by_kind, KIND_DAYS)
            last[7] = by_kind[7]
            last /= last.sum(axis=2, keepdims=True)
        found[day] = last
    return found


def totals(values: Array, seen: Mask, special: SpecialDays) -> tuple[Array, Array]:
    """Logarithms of the days' totals [place, day], those of days of which hours are missing repaired by the rhythm of like days; and the share seen [day].

    A day of which less than half is seen says nothing.
    """
    whole: Mask = np.asarray(seen.all(axis=1))
    rhythm = rhythms(values * whole[:, None], np.broadcast_to(whole[:, None], seen.shape), special)[-1]
    of_day = rhythm[special.weekdays[: len(seen)]].transpose(1, 0, 2)
    part = (of_day * seen).sum(axis=2)
    sums = (values * seen).sum(axis=2) / np.maximum(part, 1e-9)
    share = np.where(part[0] >= 0.5, part[0], 0.0)
    floor = np.median(np.where(share > 0, sums, np.nan)[:, share > 0], axis=1) / 50 if (share > 0).any() else np.ones(len(values))
    return np.log(np.maximum(sums, np.maximum(floor, 1e-9)[:, None])), share


def _mean(sums: Array, counts: Array, prior: Array, weight: float) -> Array:
    found: Array = (sums + weight * prior) / (counts + weight)
    return found
