"""Other methods on the same incidents: the simplest honest one, an oracle that sees the later hours too, and a structural time-series model."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

HOUR = timedelta(hours=1)


def followed_median(sold: Mapping[datetime, float], hours: Sequence[datetime], alike: Sequence[datetime]) -> float:
    """The median of like days (their midnights), times what today sold before the window over what those days sold in the same hours.

    Within the first two hours of a day today's level is not known and is taken to be 1.
    """
    midnight = datetime.combine(hours[0].date(), datetime.min.time())

    def usual(hour: datetime) -> float:
        return float(np.median([sold.get(day + (hour - midnight) % timedelta(days=1), 0.0) for day in alike]))

    before = [midnight + n * HOUR for n in range((hours[0] - midnight) // HOUR)]
    usually = sum(usual(hour) for hour in before)
    level = sum(sold.get(hour, 0.0) for hour in before) / usually if len(before) > 2 and usually > 0 else 1.0
    return level * sum(usual(hour) for hour in hours)


def oracle(full: Mapping[datetime, float], hours: Sequence[datetime], alike: Sequence[datetime], reach: int = 6) -> float:
    """The median of like days, times what ``reach`` hours before and after the window sold over what those days sold in them.

    ``full`` are sales as if nothing had happened, so that it knows what nobody can: the hours after the window, whatever the incident did to them.
    Nearer hours count more (half-life 1.5 h). It is no bound of what can be known, but of what today's level tells.
    """
    midnight = datetime.combine(hours[0].date(), datetime.min.time())

    def usual(hour: datetime) -> float:
        return float(np.median([full.get(day + (hour - midnight) % timedelta(days=1), 0.0) for day in alike]))

    around = [(hours[0] - n * HOUR, n) for n in range(1, reach + 1)] + [(hours[-1] + n * HOUR, n) for n in range(1, reach + 1)]
    usually = sum(usual(hour) * 0.5 ** (n / 1.5) for hour, n in around)
    level = sum(full.get(hour, 0.0) * 0.5 ** (n / 1.5) for hour, n in around) / usually if usually > 0 else 1.0
    return level * sum(usual(hour) for hour in hours)


def structural(sold: Mapping[datetime, float], first: datetime, hours: Sequence[datetime], holidays: Mapping[datetime, bool]) -> float:
    """A local level with a trigonometric daily season and a holiday effect (statsmodels ``UnobservedComponents``), forecast from the hours before the window.

    ``holidays`` are by midnight. Needs the extra ``bench``.
    """
    try:
        from statsmodels.tsa.statespace.structural import UnobservedComponents  # noqa: PLC0415 - an extra
    except ImportError:
        sys.exit("--structural needs statsmodels: pip install -e '.[bench]' -c constraints.txt")
    known = [first + n * HOUR for n in range((hours[0] - first) // HOUR)]
    values = np.array([sold.get(hour, 0.0) for hour in known])
    free = [float(holidays[datetime.combine(hour.date(), datetime.min.time())]) for hour in [*known, *hours]]
    exog = np.array(free)[:, None]
    varies = exog[: len(known)].std() > 0
    model = UnobservedComponents(np.sqrt(values), level="llevel", freq_seasonal=[{"period": 24, "harmonics": 8}], exog=exog[: len(known)] if varies else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that has not converged forecasts all the same
        fitted = model.fit(disp=False, maxiter=60)
        ahead = fitted.get_forecast(len(hours), exog=exog[len(known) :] if varies else None)
    mean, variance = np.maximum(ahead.predicted_mean, 0), ahead.var_pred_mean
    return float((mean**2 + variance).sum())
