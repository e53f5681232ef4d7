"""Which market is the nearest other one."""

import numpy as np
import polars as pl

WALKING_KM = 3.0
"""Nobody walks further."""

_KM_A_DEGREE = 111.2


def nearest(markets: pl.DataFrame, within_km: float = WALKING_KM) -> np.ndarray:
    """The row of each market's nearest other one within ``within_km``, else -1; a market without coordinates has none.

    Distances are those on a plane at each market's latitude, good to a metre at a few kilometres.
    """
    north = markets["latitude"].to_numpy().astype(float) * _KM_A_DEGREE
    found = np.full(len(markets), -1)
    known = np.flatnonzero(~np.isnan(north))
    if len(known) < 2:  # a market is not its own neighbour
        return found
    east = markets["longitude"].to_numpy().astype(float)[known] * _KM_A_DEGREE
    apart = np.hypot(north[known][:, None] - north[known], (east[:, None] - east) * np.cos(np.radians(north[known] / _KM_A_DEGREE))[:, None])
    np.fill_diagonal(apart, np.inf)
    closest = apart.argmin(axis=1)
    found[known] = np.where(apart[np.arange(len(known)), closest] <= within_km, known[closest], -1)
    return found
