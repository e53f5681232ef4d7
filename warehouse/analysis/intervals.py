"""Intervals from the errors of past windows: conformal where there are enough of them, else Student's t. A higher level is never narrower.

Sources: Vovk, Gammerman, Shafer (2005), *Algorithmic Learning in a Random World*, for the finite-sample rank; Beran and Hall (1993), JRSS B 55(3), for ranks
between two windows; Student (1908).
"""

from dataclasses import dataclass
from math import ceil, lgamma, pi

import numpy as np

from warehouse.analysis.panel import Array

PRIOR_SPREAD = 0.25
PRIOR_WINDOWS = 3
FEW_WINDOWS = 7
"""With fewer past windows than this, their spread is blended with a prior one that counts as three windows."""

CHOSEN_AT = 0.9
"""The level whose needs choose windows and method for every level: what is chosen anew for each makes intervals that do not lie in each other."""


@dataclass(frozen=True)
class Band:
    """Relative errors to put around an expectation, one a column; ``how`` names the way they were made."""

    low: Array
    high: Array
    how: str


def windows_needed(level: float) -> int:
    """How many independent windows a two-sided conformal interval needs: 19 for 0.9."""
    return ceil(2 / (1 - level) - 1e-9) - 1


def band(errors: Array, independent: int, level: float) -> Band:
    """The band for ``errors`` [window, column], observed over expected less 1, of which ``independent`` windows do not overlap.

    Shifted copies of a window add smoothness but no rank: the rank is that of the independent ones. Above the level at which the ranks are the least
    and the greatest error, the band is Student's t, and at least from one to the other.
    """
    tail = (1 - level) / 2
    conformal = independent >= windows_needed(CHOSEN_AT)
    if conformal:
        # of m windows the rank r is at (r - 1) / (m - 1); copies and windows that overlap have the ranks of as many as do not
        rank = max((independent + 1) * tail, 1.0)
        lowest = (rank - 1) / (independent - 1)
        ends = np.quantile(errors, [lowest, 1 - lowest], axis=0)
        ranked = Band(ends[0], ends[1], "conformal")
        if independent >= windows_needed(level):
            return ranked
    square = (errors**2).mean(axis=0) if len(errors) else np.zeros(errors.shape[1])
    freedom, how = max(independent - 1, 1), "t"
    if independent < FEW_WINDOWS:
        square = (PRIOR_WINDOWS * PRIOR_SPREAD**2 + independent * square) / (PRIOR_WINDOWS + independent)
        freedom, how = PRIOR_WINDOWS + max(independent - 1, 0), "prior"
    half = student(1 - tail, freedom) * np.sqrt(square * (1 + 1 / max(independent, 1)))
    found = Band(-np.minimum(half, 1.0), half, how)
    return Band(np.minimum(found.low, ranked.low), np.maximum(found.high, ranked.high), how) if conformal else found


def student(probability: float, freedom: float) -> float:
    """The quantile of Student's t, by integrating its density over an angle (x = tan a), exact to five digits."""
    angle = np.linspace(-pi / 2, pi / 2, 20_001)
    scale = np.exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / np.sqrt(freedom * pi)
    # with x = sqrt(freedom) tan(a) the density times dx/da is a power of the cosine
    density = scale * np.sqrt(freedom) * np.maximum(np.cos(angle), 0) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(angle))])
    return float(np.sqrt(freedom) * np.tan(np.interp(probability, mass / mass[-1], angle)))
