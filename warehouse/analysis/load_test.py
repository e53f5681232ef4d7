"""What a load test proves."""

import numpy as np
import polars as pl

from warehouse.analysis.asked import level_of
from warehouse.analysis.capacity import FAILING, Capacity
from warehouse.analysis.errors import FrameError, need_columns
from warehouse.analysis.intervals import student
from warehouse.analysis.panel import Array


def capacity_by_test(test: pl.DataFrame, service: str = "payment", *, level: float = 0.9) -> Capacity:
    """From a load test: steps of ``concurrency`` and ``throughput`` (requests a minute; Gunther's Universal Scalability Law, 2007), or of ``offered`` (a minute) and ``failed_share``.

    The law X = l N / (1 + s (N - 1) + k N (N - 1)) is linear in its coefficients as N / X; the interval is Student's t with the spread of a bootstrap of the residuals (fixed seed).

    Raises:
        FrameError: columns are missing or hold what they may not.
        AnalysisError: too few steps, no peak within reach of them, or the level cannot be used.
    """
    level = level_of(level)
    if isinstance(test, pl.DataFrame) and "offered" in test.columns:
        need_columns(test, "load test", ("offered", "failed_share"))
        steps = test.select(pl.col("offered", "failed_share").cast(pl.Float64)).drop_nulls().sort("offered")
        bad = steps.filter((pl.col("failed_share") > FAILING).cum_max())
        good = steps.filter(~(pl.col("failed_share") > FAILING).cum_max())
        held = float(good["offered"].max()) if len(good) else None  # type: ignore[arg-type]
        if held is None or bad.is_empty():
            return Capacity(service, None, None, None, held, "load_test", len(steps), level)
        broke = float(bad["offered"].min())  # type: ignore[arg-type]
        return Capacity(service, float(np.sqrt(held * broke)), held, broke, held, "load_test", len(steps), level)
    need_columns(test, "load test", ("concurrency", "throughput"))
    n, x = (test[name].cast(pl.Float64).to_numpy() for name in ("concurrency", "throughput"))
    if len(n) < 5 or not ((n >= 1) & (x > 0)).all():
        raise FrameError(f"load test: expected five steps or more with concurrency >= 1 and throughput > 0, got {len(n)}. Add steps beyond the peak.")
    design = np.stack([np.ones(len(n)), n - 1, n * (n - 1)], axis=1)
    # N / X strays as N / X does: relative residuals
    weight = x / n
    found = np.linalg.lstsq(design * weight[:, None], np.ones(len(n)), rcond=None)[0]
    peak = _peak(found, float(n.max()))
    if peak is None:
        return Capacity(service, None, None, None, float(x.max()), "load_test", len(n), level)
    fit = design @ found
    off = (n / x) / fit - 1
    off *= np.sqrt(len(n) / max(len(n) - 3, 1))
    rng = np.random.default_rng(0)
    peaks = []
    for _ in range(500):
        again = fit * (1 + rng.choice(off - off.mean(), len(n)))
        one = _peak(np.linalg.lstsq(design / again[:, None], np.ones(len(n)), rcond=None)[0], float(n.max()))
        if one is not None:
            peaks.append(one)
    # few steps know their own noise badly
    half = student((1 + level) / 2, len(n) - 3) * float(np.std(np.log(peaks)))
    return Capacity(service, peak, float(peak * np.exp(-half)), float(peak * np.exp(half)), float(x.max()), "usl", len(n), level)


def _peak(coefficients: Array, farthest: float) -> float | None:
    """The largest throughput, None where the curve still rises at four times the largest concurrency tried."""
    base, contention, coherence = (float(c) for c in coefficients)
    if base <= 0 or coherence <= 0 or base <= contention:
        return None
    n = np.sqrt((base - contention) / coherence)
    if n > 4 * farthest:
        return None
    return float(n / (base + contention * (n - 1) + coherence * n * (n - 1)))
