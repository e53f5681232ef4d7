"""Every stream is looked at: issuers, services, single markets; small drops; one incident for one cause; nothing from the future."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.test_analysis_incidents import CHANNELS, MIDNIGHT, REGIONS, SHAPE, counts, expectation, hurt, minute, nothing_open
from warehouse.analysis import Usual, detect
from warehouse.analysis.budget import SHARES, Drift, alarm_at

DRIFT = Drift(nation=8e-5, part=1.7e-4)
"""Of the made days: 5 % with a memory of an hour, and 5 % more in regions."""

ISSUERS, OF_ISSUER = ["a", "b", "c", "d"], np.array([0.4, 0.3, 0.2, 0.1])
OF_MARKET = np.array([0.35, 0.3, 0.2, 0.1, 0.05])
"""Five markets in each region."""


class Country:
    """A day's attempts one by one, each with its minute, region, channel, issuer and market."""

    def __init__(self, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        approved, declined, failed = counts(seed=seed)
        self.region, self.channel, self.minute, self.kind = (
            np.concatenate(parts) for parts in zip(*map(_each, range(3), (approved, declined, failed)), strict=True)
        )
        self.issuer = rng.choice(4, len(self.minute), p=OF_ISSUER)
        self.market = rng.choice(5, len(self.minute), p=OF_MARKET)
        self.logins = rng.poisson(approved.sum(axis=(0, 1)) * 1.3 + 1)
        self.login_errors = rng.binomial(self.logins, 0.004)

    def fail(self, start: int, end: int, where: np.ndarray | None = None) -> "Country":
        self.kind = np.where((self.minute >= start) & (self.minute < end) & (True if where is None else where), 2, self.kind)
        return self

    def silence(self, start: int, end: int, where: np.ndarray | None = None) -> "Country":
        keep = ~((self.minute >= start) & (self.minute < end) & (True if where is None else where))
        for name in ("region", "channel", "minute", "kind", "issuer", "market"):
            setattr(self, name, getattr(self, name)[keep])
        return self

    def frames(self, until: int = 1440) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        at = pl.datetime_range(MIDNIGHT, MIDNIGHT + timedelta(days=1), "1m", closed="left", eager=True)
        rows = pl.DataFrame(
            {
                "minute_at": at.gather(self.minute),
                "region": pl.Series(REGIONS).gather(self.region),
                "channel": pl.Series(CHANNELS).gather(self.channel),
                "issuer": pl.Series(ISSUERS).gather(self.issuer),
                "market_id": [f"{REGIONS[r]}-{m}" for r, m in zip(self.region, self.market, strict=True)],
                "kind": self.kind,
            }
        )
        sums = [(pl.col("kind") == n).sum().cast(pl.Int64).alias(name) for n, name in enumerate(("approved", "declined", "failed"))]
        minutes, issuers = (rows.group_by("minute_at", "region", "channel", own).agg(*sums) for own in ("market_id", "issuer"))
        services = pl.DataFrame({"minute_at": at, "service": ["login"] * 1440, "errors": self.login_errors, "attempts": self.logins})
        end = MIDNIGHT + timedelta(minutes=until)
        return tuple(frame.filter(pl.col("minute_at") < end) for frame in (minutes, issuers, services))


def _each(kind: int, figure: np.ndarray) -> tuple[np.ndarray, ...]:
    cell = np.nonzero(figure)
    each = [np.repeat(axis, figure[cell]) for axis in cell]
    return *each, np.full(len(each[0]), kind)


def usual() -> Usual:
    wanted = expectation()
    by_region = wanted.group_by("region").agg(pl.col("expected").sum()).sort("region")
    hourly = SHAPE.reshape(24, 60).sum(axis=1)
    rows = [
        {"region": region, "market_id": f"{region}-{m}", "hour": hour, "approved": 28 * total * share * hourly[hour]}
        for region, total in by_region.iter_rows()
        for m, share in enumerate(OF_MARKET)
        for hour in range(24)
    ]
    issuers = pl.DataFrame({"channel": np.repeat(CHANNELS, 4), "issuer": ISSUERS * 2, "approved": np.tile(OF_ISSUER * 1e6, 2)})
    return Usual(wanted, DRIFT, issuers, pl.DataFrame(rows))


USUAL = usual()


def run(country: Country, cuts: tuple[int, ...] = (0, 1440)) -> dict[str, dict[str, Any]]:
    """What the warehouse keeps after calls between ``cuts``, merged incidents left out."""
    kept: dict[str, dict[str, Any]] = {}
    for low, high in pairwise(cuts):
        minutes, issuers, services = country.frames(high)
        still = [row for row in kept.values() if row["ended_at"] is None]
        known = pl.DataFrame(still, schema=nothing_open().schema, orient="row") if still else nothing_open()
        since, until = MIDNIGHT + timedelta(minutes=low), MIDNIGHT + timedelta(minutes=high)
        for row in detect(minutes, USUAL, known, since=since, until=until, issuers=issuers, services=services).iter_rows(named=True):
            kept[row["incident_id"]] = {name: value for name, value in row.items() if name != "action"}
    return kept


def two_days(first: Country, second: Country, cuts: Sequence[int], *, of_two: bool = False) -> dict[str, dict[str, Any]]:
    """The same over two days, each call with the rows of its day up to its end; ``of_two``: there are only the issuers 'a' and 'c'."""
    known_issuers = USUAL.issuers
    assert known_issuers is not None

    def named(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.col("issuer").replace({"b": "a", "d": "c"})) if of_two else rows

    measured = replace(USUAL, expected=expectation(2), issuers=named(known_issuers))
    days = [first.frames(), [rows.with_columns(pl.col("minute_at") + timedelta(days=1)) for rows in second.frames()]]
    kept: dict[str, dict[str, Any]] = {}
    for low, high in pairwise(cuts):
        since, until = MIDNIGHT + timedelta(minutes=low), MIDNIGHT + timedelta(minutes=high)
        today = pl.col("minute_at").is_between(MIDNIGHT + timedelta(days=low // 1440), until, closed="left")
        minutes, issuers, services = (pl.concat(parts).filter(today) for parts in zip(*days, strict=True))
        still = [row for row in kept.values() if row["ended_at"] is None]
        known = pl.DataFrame(still, schema=nothing_open().schema, orient="row") if still else nothing_open()
        for row in detect(minutes, measured, known, since=since, until=until, issuers=named(issuers), services=services).iter_rows(named=True):
            kept[row["incident_id"]] = {name: value for name, value in row.items() if name != "action"}
    return kept


def only(kept: dict[str, dict[str, Any]]) -> dict[str, Any]:
    alone = [row for row in kept.values() if row["merged_into"] is None]
    assert len(alone) == 1, [row["incident_id"] for row in alone]
    return alone[0]


def test_an_ordinary_day_is_quiet_in_every_stream() -> None:
    assert run(Country(3)) == {}


@pytest.mark.parametrize("failing", [True, False])
def test_an_issuer_that_is_away_is_an_incident_of_the_issuer(*, failing: bool) -> None:
    country = Country()
    hit = country.issuer == ISSUERS.index("c")
    found = only(run(country.fail(600, 660, hit) if failing else country.silence(600, 660, hit)))
    assert (found["scope"], found["scope_name"]) == ("issuer", "c")
    assert minute(found["detected_at"]) <= 604
    assert minute(found["ended_at"]) <= 675


def test_errors_of_a_service_are_an_incident_of_the_service() -> None:
    country = Country()
    country.login_errors[600:660] += country.logins[600:660] // 3
    found = only(run(country))
    assert (found["scope"], found["scope_name"], found["kind"]) == ("service", "login", "failure_rate")
    assert minute(found["detected_at"]) <= 602
    assert 655 <= minute(found["ended_at"]) <= 670


def test_a_small_market_that_falls_silent_is_found_once_enough_is_missing() -> None:
    country = Country()
    found = only(run(country.silence(600, 900, (country.region == 2) & (country.market == 1))))
    assert (found["scope"], found["scope_name"], found["kind"]) == ("market", "r02-1", "missing_sales")
    assert 590 <= minute(found["onset_at"]) <= 610
    assert json.loads(found["evidence"])["expected"] >= 20
    assert minute(found["ended_at"]) >= 890


def test_a_small_market_half_of_whose_payments_fail_is_found() -> None:
    country = Country()
    hit = (country.region == 4) & (country.market == 4) & (np.random.default_rng(1).random(len(country.minute)) < 0.6)
    found = only(run(country.fail(600, 840, hit)))
    assert (found["scope"], found["scope_name"], found["kind"]) == ("market", "r04-4", "failure_rate")


def test_a_market_that_sold_nothing_all_day_is_closed_and_no_incident() -> None:
    country = Country()
    assert run(country.silence(0, 1440, (country.region == 2) & (country.market == 1))) == {}


def test_what_the_nation_suffers_is_no_incident_of_services_issuers_and_markets() -> None:
    country = Country()
    country.login_errors[600:700] += country.logins[600:700] // 2
    found = only(run(country.fail(600, 700, np.random.default_rng(1).random(len(country.minute)) < 0.6)))
    assert found["scope"] == "nation"


def test_a_part_that_was_found_shortly_before_the_nation_is_merged_into_it() -> None:
    country = Country()
    kept = run(country.fail(600, 700, country.region == 0).fail(604, 700), (0, 600, 602, 606, 660, 1440))
    found = only(kept)
    assert found["scope"] == "nation"
    (part,) = [row for row in kept.values() if row["merged_into"]]
    assert (part["scope"], part["merged_into"]) == ("region", found["incident_id"])
    assert part["ended_at"] is not None


def test_half_of_all_sales_missing_is_found_within_five_minutes_and_a_fifth_mostly_within_fifteen() -> None:
    waited: dict[float, list[int]] = {0.5: [], 0.2: []}
    for seed in range(6):
        day = counts(seed=40 + seed)
        for share, each in waited.items():
            minutes = _minutes(hurt(day, 660, 720, share, failing=False, seed=seed))
            end = MIDNIGHT + timedelta(minutes=720)
            found = detect(minutes, Usual(expectation(), DRIFT), nothing_open(), since=MIDNIGHT, until=end)
            opened = [minute(at) - 659 for at in found.filter(pl.col("action") == "opened")["detected_at"] if minute(at) >= 660]
            each.append(min(opened, default=999))
    assert max(waited[0.5]) <= 5
    assert np.median(waited[0.2]) <= 15


def test_a_fifth_that_stays_away_stays_an_incident() -> None:
    minutes = _minutes(hurt(counts(seed=42), 660, 840, 0.25, failing=False))
    found = detect(minutes, Usual(expectation(), DRIFT), nothing_open(), since=MIDNIGHT, until=MIDNIGHT + timedelta(days=1))
    opened, closed = (found.filter(pl.col("action") == action) for action in ("opened", "closed"))
    assert len(opened) == 1
    assert 770 <= minute(closed["ended_at"][0]) <= 870


def test_nothing_after_a_minute_changes_what_was_detected_in_any_stream() -> None:
    def broken() -> Country:
        country = Country()
        country.login_errors[300:330] += country.logins[300:330] // 2
        return country.fail(600, 1440, country.issuer == 1).silence(560, 1440, (country.region == 2) & (country.market == 1))

    later = broken().fail(700, 1440)
    later.login_errors[700:] = later.logins[700:]
    assert run(broken(), (0, 700)) == run(later, (0, 700))
    assert len(run(broken(), (0, 700))) >= 3


def test_it_does_not_matter_how_the_time_is_cut_for_any_stream() -> None:
    country = Country().fail(600, 700, Country().issuer == 1)
    country.silence(500, 900, (country.region == 2) & (country.market == 1))
    country.login_errors[300:330] += country.logins[300:330] // 2
    assert run(country, (0, 302, 600, 601, 731, 1440)) == run(country)


@pytest.mark.parametrize(("scope", "name", "of_two"), [("issuer", "c", False), ("issuer", "c", True), ("market", "r00-0", False)])
def test_what_is_silent_over_midnight_is_one_incident_until_it_sells_again_however_the_time_is_cut(scope: str, name: str, *, of_two: bool) -> None:
    def hit(country: Country) -> np.ndarray:
        if scope == "market":
            return np.asarray((country.region == 0) & (country.market == 0))
        return np.asarray((country.issuer == 2) | of_two & (country.issuer == 3))

    first, second = Country(3), Country(4)
    first.silence(960, 1440, hit(first))
    second.silence(0, 840, hit(second))
    whole = two_days(first, second, (0, 1440, 2880), of_two=of_two)
    found = only(whole)
    assert (found["scope"], found["scope_name"]) == (scope, name)
    assert abs(minute(found["onset_at"]) - 960) <= 10
    assert 1440 + 830 <= minute(found["ended_at"]) <= 1440 + 870
    assert two_days(first, second, range(0, 2881, 120), of_two=of_two) == whole


def test_an_incident_of_what_nothing_at_all_is_known_of_goes_on_for_half_a_day() -> None:
    country = Country(3)
    hit = country.issuer == ISSUERS.index("c")
    minutes, issuers, _ = country.fail(600, 1440, hit).frames()
    until = MIDNIGHT + timedelta(days=1)
    opened = detect(minutes, USUAL, nothing_open(), since=MIDNIGHT, until=until, issuers=issuers)
    known = opened.filter(pl.col("action") == "opened").drop("action").with_columns(last_seen_at=until - timedelta(minutes=1))
    none = minutes.clear()
    for hours, over in ((11, False), (13, True)):
        changed = detect(none, Usual(expectation().clear(), DRIFT), known, since=until, until=until + timedelta(hours=hours))
        assert ("closed" in changed["action"].to_list()) is over


def test_the_budget_is_one_false_alarm_a_week_over_all_streams_together() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    # more streams in a scope make each of them slower, not the whole noisier
    assert alarm_at("region", 34) - alarm_at("region", 17) == pytest.approx(np.log(2))


def _minutes(found: tuple[np.ndarray, ...]) -> pl.DataFrame:
    cell = np.nonzero(sum(found))
    at = pl.datetime_range(MIDNIGHT, MIDNIGHT + timedelta(days=1), "1m", closed="left", eager=True)
    names = {"region": pl.Series(REGIONS).gather(cell[0]), "channel": pl.Series(CHANNELS).gather(cell[1])}
    return pl.DataFrame({"minute_at": at.gather(cell[2]), **names, **{n: f[cell] for n, f in zip(("approved", "declined", "failed"), found, strict=True)}})
