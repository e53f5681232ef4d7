"""How much further ordinary days stray than a random walk would: alarms are raised until the past keeps the budget."""

from dataclasses import replace

import numpy as np

from warehouse.analysis.budget import INDEPENDENT, SHARES, WEEK, Drift
from warehouse.analysis.drops import drops
from warehouse.analysis.evidence import Counts, missing_all_day, missing_in_parts, ordinary_level
from warehouse.analysis.panel import Array, Codes, Mask
from warehouse.analysis.times import DAY

FEWEST_DAYS = 7
MOST_PARTS = 40
UNJUDGED = 15.0
"""By so much alarms are raised until so many days have been forecast: what is plain is found, and no first Saturday is held against one that was another."""

INSIGNIFICANT = 1.0
"""So much of an excess is chance in the maxima of two weeks."""


def with_tails(drift: Drift, sold: Array, expected: Array, seen: Mask, step: int, *, apart: bool) -> Drift:
    """``drift`` with its tails, from past days [part, day, slot]; ``apart``: each day's level is learnt from midnight on.

    The largest statistic of each day follows a Gumbel law where alarms come at a rate that falls exponentially; its place and scale
    are taken from the median, the quartiles and the ninth tenth of the past days, which single incidents do not move, and its quantile at the share of the
    budget is compared with the alarm (peaks over a threshold as in Siffer et al. 2017, with the exponential tail of Chernoff's bound).
    """
    days, slots = expected.shape[1:]
    if days < FEWEST_DAYS:
        return replace(drift, nation_tail=UNJUDGED, part_tail=UNJUDGED, day_tail=UNJUDGED)
    of_nation = np.stack([figure.sum(axis=0) * seen for figure in (sold, expected)])
    if not apart:
        # each day after the one before it
        of_nation = np.concatenate([np.concatenate([np.zeros((2, 1, slots)), of_nation[:, :-1]], axis=1), of_nation], axis=2)
    maxima = drops(of_nation[0], of_nation[1], drift, step, 0 if apart else slots).strength.max(axis=1)
    large = np.sort(np.argsort(-expected.sum(axis=(1, 2)), kind="stable")[:MOST_PARTS])
    flat = [np.concatenate([f.sum(axis=0)[None], f[large]]).reshape(1 + len(large), -1) * seen.ravel() for f in (sold, expected)]
    begin: Codes = np.repeat(np.arange(days) * slots, slots) if apart else np.zeros(days * slots, dtype=np.int64)
    count = len(flat[0])
    nothing = np.zeros(flat[0].shape)
    counts = Counts(nothing, nothing, flat[0], flat[1], begin, np.arange(count) > 0, np.ones(count), step)
    week = WEEK / DAY
    all_day = missing_all_day(counts, drift, 0, days * slots)[0].reshape(-1, days, slots).max(axis=2)
    # the two tests of the nation have tails of their own: what whole days stray by must not make that for drops slower
    nation, day = (_excess(largest, SHARES["nation"] / week, INDEPENDENT * DAY / step) for largest in (maxima, all_day[0]))
    # the parts' shares are told from all of them together
    if len(large) < 2:
        return replace(drift, nation_tail=nation, part_tail=nation, day_tail=day)
    found = missing_in_parts(counts, drift, ordinary_level(counts, drift), 0, days * slots)[0][1:].reshape(-1, days, slots).max(axis=2)
    parts = _excess(np.maximum(found, all_day[1:]).ravel(), SHARES["region"] / week / len(large), INDEPENDENT * DAY / step)
    return replace(drift, nation_tail=nation, part_tail=parts, day_tail=day)


def _excess(maxima: Array, share: float, tests: float) -> float:
    """By how much the quantile of a day's largest statistic, at ``share`` false alarms a day, exceeds that of so many independent tests."""
    low, middle, high, highest = np.quantile(maxima, [0.25, 0.5, 0.75, 0.9])
    scale = max(float(high - low) / 1.573, float(highest - middle) / 1.884, 1.0)
    place = float(middle) - 0.3665 * scale
    return max(place + scale * float(-np.log(share)) - float(np.log(tests / share)) - INSIGNIFICANT, 0.0)
