"""Made countries whose payments stray: Poisson counts around levels that drift, with incidents of known scope and size put in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from warehouse.analysis import Usual, usual_day

REGIONS, CHANNELS, ISSUERS = [f"r{n:02d}" for n in range(17)], ["card", "mobile"], [f"i{n}" for n in range(8)]
MARKETS = 1400
HISTORY_DAYS = 28
FIRST = datetime(2025, 4, 7) - timedelta(hours=9)  # noqa: DTZ001 - naive UTC, a Monday's midnight in Seoul
SERVICES = {"login": 1.2, "registration": 0.1, "top_up": 0.2}
"""Attempts of other services for each payment."""

_SHAPE = np.interp(np.arange(1440) / 60, [0, 3, 6, 8, 11, 14, 18, 22, 24], [0.1, 0.02, 0.3, 2.2, 7.8, 6.6, 8.4, 0.8, 0.1])
SHAPE = _SHAPE / _SHAPE[600:1080].mean()
"""Of the day, 1 on average from 10 to 18 o'clock."""

_OF_KIND = np.array([1, 1, 1, 1, 1, 1.15, 0.8])
Array = np.ndarray


@dataclass(frozen=True)
class Events:
    """Attempts of one day, an entry each."""

    minute: Array
    codes: Mapping[str, Array]
    failed: Array
    service_errors: Mapping[str, tuple[Array, Array]]
    """Attempts and errors of each service by minute."""

    def hit(self, start: int, share: float, *, failing: bool, rng: np.random.Generator, **where: int) -> "Events":
        """Take ``share`` of the attempts from minute ``start`` on away, or let them fail, in one region, channel, issuer or market, or everywhere."""
        struck = (self.minute >= start) & (rng.random(len(self.minute)) < share)
        for axis, code in where.items():
            struck &= self.codes[axis] == code
        if failing:
            return replace(self, failed=self.failed | struck)
        return replace(self, minute=self.minute[~struck], codes={axis: codes[~struck] for axis, codes in self.codes.items()}, failed=self.failed[~struck])

    def frames(self, day: int) -> dict[str, pl.DataFrame]:
        """What detection takes: minutes by market, by issuer, by service."""
        at = pl.Series(self.minute).cast(pl.Int64)
        midnight = FIRST + timedelta(days=day)
        names = {"region": REGIONS, "channel": CHANNELS, "issuer": ISSUERS, "market_id": [f"m{n:04d}" for n in range(MARKETS)]}
        rows = pl.DataFrame({"minute": at, "failed": self.failed, **{axis: self.codes[axis] for axis in names}})
        found = {}
        for what, axes in (("minutes", ["region", "channel", "market_id"]), ("issuers", ["region", "channel", "issuer"])):
            counts = rows.group_by("minute", *axes).agg(approved=(~pl.col("failed")).sum().cast(pl.Int64), failed=pl.col("failed").sum().cast(pl.Int64))
            found[what] = counts.select(
                pl.lit(midnight).alias("minute_at") + pl.duration(minutes="minute"),
                *(pl.col(axis).replace_strict(dict(enumerate(names[axis])), return_dtype=pl.String) for axis in axes),
                "approved",
                "failed",
                declined=pl.lit(0, pl.Int64),
            )
        minute_at = pl.datetime_range(midnight, midnight + timedelta(days=1), "1m", closed="left", eager=True)
        services = [
            pl.DataFrame({"minute_at": minute_at, "service": name, "errors": errors, "attempts": attempts})
            for name, (attempts, errors) in self.service_errors.items()
        ]
        return {**found, "services": pl.concat(services)}


class World:
    """A country with ``rate`` payments a minute from 10 to 18 o'clock.

    Its level strays by ``drift`` (relative standard deviation, memory of ``memory`` minutes), that of each region by ``drift`` more, and each
    day by a tenth.
    """

    def __init__(self, seed: int, *, rate: float, drift: float, days: int, memory: float = 60.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.rate, self.drift, self.memory = rate, drift, memory
        share = np.arange(17, 0, -1) ** 1.5
        self.share = share / share.sum()
        weight = self.rng.lognormal(0, 1, MARKETS)
        self.market_region = np.concatenate([np.arange(17), self.rng.choice(17, MARKETS - 17, p=self.share)])
        within = np.bincount(self.market_region, weight)
        self.market_share = weight / within[self.market_region]
        self.issuer_share = np.array([0.22, 0.18, 0.15, 0.11, 0.12, 0.09, 0.07, 0.06])
        self._usual: dict[int, Usual] = {}
        self.days = [self._day(day) for day in range(days)]

    def _stray(self, rows: int, spread: float) -> Array:
        keep = np.exp(-1 / self.memory)
        steps = self.rng.normal(0, 1, (rows, 1440))
        steps[:, 1:] *= np.sqrt(1 - keep**2)
        for minute in range(1, 1440):
            steps[:, minute] += keep * steps[:, minute - 1]
        return spread * steps

    def _day(self, day: int) -> tuple[Array, Array]:
        """Approved and failed [region, channel, minute]."""
        level = np.exp(self._stray(1, self.drift) + self._stray(17, self.drift) + self.rng.normal(0, 0.1)) * _OF_KIND[day % 7]
        mean = (level * SHAPE * self.rate * self.share[:, None])[:, None, :] * np.array([0.55, 0.45])[:, None]
        attempts = self.rng.poisson(mean)
        failed = self.rng.binomial(attempts, 0.005 * np.exp(self._stray(1, 0.3))[0])
        return attempts - failed, failed

    def usual(self, day: int) -> Usual:
        """What the day is measured by: learnt once for each kind of day, from the four weeks before the first such day that is asked for."""
        kind = max(day % 7 - 4, 0)
        if kind not in self._usual:
            self._usual[kind] = self._learnt(day)
        known = self._usual[kind]
        midnight = FIRST + timedelta(days=day)
        shift = midnight - known.expected["minute_at"].min()
        return replace(known, expected=known.expected.with_columns(pl.col("minute_at") + shift))

    def _learnt(self, day: int) -> Usual:
        past = np.stack([approved for approved, _ in self.days[day - HISTORY_DAYS : day]])
        cell = np.nonzero(past)
        start = FIRST + timedelta(days=day - HISTORY_DAYS)
        at = pl.datetime_range(start, start + timedelta(days=HISTORY_DAYS), "1m", closed="left", eager=True)
        history = pl.DataFrame(
            {
                "minute_at": at.gather(cell[0] * 1440 + cell[3]),
                "region": pl.Series(REGIONS).gather(cell[1]),
                "channel": pl.Series(CHANNELS).gather(cell[2]),
                "approved": past[cell],
            }
        )
        by_hour = past.sum(axis=(0, 2)).reshape(17, 24, 60).sum(axis=2)
        markets = self.rng.poisson(by_hour[self.market_region] * self.market_share[:, None])
        hours = pl.DataFrame(
            {
                "region": [REGIONS[r] for r in np.repeat(self.market_region, 24)],
                "market_id": [f"m{n:04d}" for n in np.repeat(np.arange(MARKETS), 24)],
                "hour": np.tile(np.arange(24), MARKETS),
                "approved": markets.ravel(),
            }
        )
        shares = self.rng.poisson(past.sum(axis=(0, 1, 3))[:, None] * self.issuer_share)
        issuers = pl.DataFrame({"channel": np.repeat(CHANNELS, len(ISSUERS)), "issuer": ISSUERS * 2, "approved": shares.ravel()})
        return replace(usual_day(history, date(2025, 4, 7) + timedelta(days=day)), issuers=issuers, markets=hours)

    def events(self, day: int) -> Events:
        """The attempts of a day, one by one."""
        approved, failed = self.days[day]
        each = []
        for counts in (approved, failed):
            cell = np.nonzero(counts)
            each.append([np.repeat(axis, counts[cell]) for axis in cell])
        region, channel, minute = (np.concatenate(pair) for pair in zip(*each, strict=True))
        is_failed = np.arange(len(minute)) >= approved.sum()
        market = np.empty(len(minute), dtype=np.int64)
        for code in range(17):
            own, here = np.flatnonzero(self.market_region == code), region == code
            market[here] = own[np.searchsorted(np.cumsum(self.market_share[own])[:-1], self.rng.random(int(here.sum())))]
        issuer = self.rng.choice(len(ISSUERS), len(minute), p=self.issuer_share)
        attempts = (approved + failed).sum(axis=(0, 1))
        services = {}
        for name, each_payment in SERVICES.items():
            tried = self.rng.poisson(attempts * each_payment)
            services[name] = (tried, self.rng.binomial(tried, 0.004 * np.exp(self._stray(1, 0.3))[0]))
        return Events(minute, {"region": region, "channel": channel, "issuer": issuer, "market_id": market}, is_failed, services)
