"""What buyers do: try, try again, come back hours later, or give up.

Every try has random numbers of its own (by purchase and round), so that the same day with and without the incident differs only by the incident.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from streams.simulator.chance import draws, pick
from streams.simulator.demand import Wishes
from streams.simulator.happenings import Incident
from streams.simulator.parts import CHANNELS, ISSUERS, World
from streams.simulator.platform import FAILURE_CODES, STEP_MS, Condition
from streams.simulator.scenario import Scenario, ScenarioError

APPROVED, DECLINED, FAILED, HELD = range(4)
"""Outcomes of a try; a held buyer never got as far as an attempt to pay."""

HOLD_STAGES = ("queue", "login", "registration")

_FAILURE_WEIGHTS = [0.5, 0.25, 0.15, 0.1]
_HOLD_WEIGHTS = [0.75, 0.15, 0.10]
_TIMEOUT = FAILURE_CODES.index("timeout")
_MOST_TRIES = 12
_PATIENCE_KEPT = 0.88


@dataclass(frozen=True)
class Tries:
    """A day's tries as parallel arrays, round by round.

    ``purchase`` is a row of the wishes, ``number`` counts a purchase's tries from 0 and ``attempt`` its attempts to pay from 1 (0: held before one), ``channel`` an index of CHANNELS,
    ``at`` is milliseconds since midnight, ``reason`` an index of FAILURE_CODES or HOLD_STAGES, ``approved_at`` when an approval came, else -1: a
    failed try that has one is a timeout that was approved after all.
    """

    purchase: np.ndarray
    channel: np.ndarray
    number: np.ndarray
    attempt: np.ndarray
    at: np.ndarray
    outcome: np.ndarray
    reason: np.ndarray
    approved_at: np.ndarray


def tries(scenario: Scenario, markets: pl.DataFrame, day: date, wanted: Wishes, platform: Condition) -> Tries:
    """Play the buyers of one day against the platform."""
    closes = scenario.hours[1] * 3_600_000
    active, at = np.arange(len(wanted)), wanted.wanted_at.copy()
    attempts = np.zeros(len(wanted), dtype=np.int64)
    channel = wanted.channel.copy()
    scoped = [(*_within(incident, markets, wanted), failure) for incident, failure in platform.scoped]
    rounds = []
    for number in range(_MOST_TRIES):
        luck = draws(scenario.seed, "tries", day.toordinal(), number).random((len(wanted), 7))[active]
        one = _one_round(
            scenario,
            number=number,
            active=active,
            now=(at[active], channel[active], attempts[active]),
            wanted=wanted,
            platform=platform,
            scoped=scoped,
            luck=luck,
        )
        rounds.append(one)
        attempts[active] = np.maximum(attempts[active], one.attempt)
        again_at = _next_time(scenario.world, one, number, luck)
        stay = again_at < closes
        channel[active] = _next_channel(scenario.world, one, wanted, luck)
        active = active[stay]
        at[active] = again_at[stay]
        if not len(active):
            break
    return Tries(*(np.concatenate([getattr(one, name) for one in rounds]) for name in Tries.__dataclass_fields__))


def _one_round(
    scenario: Scenario,
    *,
    number: int,
    active: np.ndarray,
    now: tuple[np.ndarray, np.ndarray, np.ndarray],
    wanted: Wishes,
    platform: Condition,
    scoped: list[tuple[np.ndarray, np.ndarray, int, np.ndarray]],
    luck: np.ndarray,
) -> Tries:
    at, channel, attempts = now
    step, closes = at // STEP_MS, scenario.hours[1] * 3_600_000
    # A card without an account needs no login: it is never held.
    held = (luck[:, 0] >= platform.admitted[step]) & ~wanted.anonymous[active]
    failure, code = platform.failure[step], platform.code[step]
    for hit, hit_channel, own_code, own_failure in scoped:
        worse = hit[active] & hit_channel[channel] & (own_failure[step] > failure)
        failure, code = np.where(worse, own_failure[step], failure), np.where(worse, own_code, code)
    failed = ~held & (luck[:, 1] < failure)
    refused = wanted.refused[active] > 0
    outcome = np.select([held, failed, refused], [HELD, FAILED, DECLINED], APPROVED)
    reason = np.select([held, code >= 0], [pick(luck[:, 2], _HOLD_WEIGHTS), code], pick(luck[:, 2], _FAILURE_WEIGHTS))
    approved_late_at = at + 15_000 + (luck[:, 4] * 75_000).astype(np.int64)
    late = failed & (reason == _TIMEOUT) & ~refused & (luck[:, 3] < scenario.platform.late_approval_share) & (approved_late_at < closes)
    return Tries(
        purchase=active,
        channel=channel,
        number=np.full(len(active), number),
        attempt=np.where(held, 0, attempts + 1),
        at=at,
        outcome=outcome,
        reason=reason,
        approved_at=np.select([outcome == APPROVED, late], [at, approved_late_at], -1),
    )


def _within(incident: Incident, markets: pl.DataFrame, wanted: Wishes) -> tuple[np.ndarray, np.ndarray, int]:
    """Which purchases an incident concerns, in which of the CHANNELS, and the code of its failures (-1: a mixture)."""
    known = markets["region"].unique().sort().to_list()
    if unknown := [name for name in incident.regions if name not in known]:
        raise ScenarioError(f"incident.regions: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    of_region = markets["region"].is_in(incident.regions or known).to_numpy()[wanted.market]
    of_channel = np.isin(CHANNELS, incident.channels or CHANNELS)
    of_issuer = np.isin(wanted.issuer, [ISSUERS.index(name) for name in incident.issuers or ISSUERS])
    return of_region & of_issuer, of_channel, FAILURE_CODES.index(incident.code) if incident.code else -1


def _next_channel(world: World, one: Tries, wanted: Wishes, luck: np.ndarray) -> np.ndarray:
    """The channel of each buyer's next try: some with an account change from card to mobile, or back, after a failed attempt to pay."""
    switches = (one.outcome == FAILED) & ~wanted.anonymous[one.purchase] & (luck[:, 6] < world.switches_channel)
    return np.where(switches, 1 - one.channel, one.channel)


def _next_time(world: World, one: Tries, number: int, luck: np.ndarray) -> np.ndarray:
    """When each buyer tries again; never is far beyond the day's end."""
    never = np.iinfo(np.int64).max
    unserved = (one.approved_at < 0) & (one.outcome != DECLINED)
    patience = world.patience * _PATIENCE_KEPT**number
    soon = np.where(one.outcome == HELD, 120_000 + luck[:, 5] * 600_000, 15_000 + luck[:, 5] ** 2 * 240_000)
    later = (0.75 + 5.5 * luck[:, 5]) * 3_600_000
    wait = np.select([luck[:, 4] < patience, luck[:, 4] < patience + world.comes_back], [soon, later], -1.0).astype(np.int64)
    return np.where(unserved & (wait > 0), one.at + wait, never)
