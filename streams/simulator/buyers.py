"""Buyers against the platform: round by round, everybody who has not paid yet.

Every try has random numbers of its own (by purchase and round), so that the same day with and without the incident differs only by the incident.
"""

from datetime import date

import numpy as np
import polars as pl

from streams.simulator.chance import draws, pick
from streams.simulator.choices import Buyers, choose, next_times
from streams.simulator.demand import Wishes
from streams.simulator.happenings import Incident
from streams.simulator.outcomes import APPROVED, DECLINED, FAILED, HELD, HOLD_STAGES, Tries, together
from streams.simulator.parts import CHANNELS, ISSUERS
from streams.simulator.platform import FAILURE_CODES, Condition
from streams.simulator.platform_time import STEP_MS
from streams.simulator.retries import GENERATIONS
from streams.simulator.scenario import Scenario, ScenarioError

_OTHER_FAILURES = [0.5, 0.3, 0.2]
"""Of failures that are no timeouts: unavailable, network, internal."""

_QUEUE, _LOGIN, _REGISTRATION = range(len(HOLD_STAGES))


def tries(scenario: Scenario, markets: pl.DataFrame, day: date, wanted: Wishes, platform: Condition) -> Tries:
    """Play the buyers of one day against the platform."""
    closes = scenario.hours[1] * 3_600_000
    active, at = np.arange(len(wanted)), wanted.wanted_at.copy()
    buyers, neighbour = Buyers.of(wanted), markets["neighbour"].to_numpy()
    scoped = [(*_within(incident, markets), failure) for incident, failure in platform.scoped]
    rounds = []
    for number in range(GENERATIONS):
        drawn = draws(scenario.seed, "tries", day.toordinal(), number).random((len(wanted), 7))[active]
        one = _one_round(scenario, number, active, at[active], buyers, wanted, platform, scoped, drawn)
        rounds.append(one)
        buyers.attempts[active] = np.maximum(buyers.attempts[active], one.attempt)
        again_at = next_times(scenario.world, one, number, drawn)
        keys = active.astype(np.uint64) + np.uint64((day.toordinal() * GENERATIONS + number) << 32)
        again_at = choose(scenario.world, buyers, one, again_at, wanted, neighbour, (keys, scenario.seed, drawn[:, 6]))
        stay = again_at < closes
        active = active[stay]
        at[active] = again_at[stay]
        if not len(active):
            break
    return together(rounds)


def _one_round(  # the state of a round; a class for it would say no more
    scenario: Scenario,
    number: int,
    active: np.ndarray,
    came_at: np.ndarray,
    buyers: Buyers,
    wanted: Wishes,
    platform: Condition,
    scoped: list[tuple[np.ndarray, np.ndarray, np.ndarray, int, np.ndarray]],
    drawn: np.ndarray,
) -> Tries:
    closes = scenario.hours[1] * 3_600_000
    channel, market = buyers.channel[active], buyers.market[active]
    held, reason, at = _through_the_door(platform, wanted.anonymous[active], came_at, closes, drawn)
    step = at // STEP_MS
    failure, code = platform.failure[step], platform.code[step]
    for of_market, of_channel, of_issuer, own_code, own_failure in scoped:
        worse = of_market[market] & of_channel[channel] & of_issuer[wanted.issuer[active]] & (own_failure[step] > failure)
        failure, code = np.where(worse, own_failure[step], failure), np.where(worse, own_code, code)
    failed = ~held & (drawn[:, 1] < failure)
    refused = wanted.refused[active] > 0
    outcome = np.select([held, failed, refused], [HELD, FAILED, DECLINED], APPROVED)
    timeouts = platform.timeouts[step]
    other = 1 + pick((drawn[:, 2] - timeouts) / np.maximum(1 - timeouts, 1e-9), _OTHER_FAILURES)
    reason = np.select([held, code >= 0, drawn[:, 2] < timeouts], [reason, code, FAILURE_CODES.index("timeout")], other)
    late_at = at + 15_000 + (drawn[:, 4] * 75_000).astype(np.int64)
    late_share = scenario.platform.late_approval_share
    late = failed & (reason == FAILURE_CODES.index("timeout")) & ~refused & (drawn[:, 3] < late_share) & (late_at < closes)
    cancelled_at = late_at + 5_000 + (drawn[:, 5] * 55_000).astype(np.int64)
    # Of those approved late, by what is left of the number that decided it.
    cancelled = late & (drawn[:, 3] < late_share * scenario.platform.auto_reversal_share) & (cancelled_at < closes)
    return Tries(
        purchase=active,
        number=np.full(len(active), number),
        leg=buyers.leg[active],
        attempt=np.where(held, 0, buyers.attempts[active] + 1),
        amount=buyers.amount[active],
        channel=channel,
        market=market,
        came_at=came_at,
        at=at,
        outcome=outcome,
        reason=reason,
        approved_at=np.select([outcome == APPROVED, late], [at, late_at], -1),
        cancelled_at=np.where(cancelled, cancelled_at, -1),
    )


def _through_the_door(
    platform: Condition, anonymous: np.ndarray, came_at: np.ndarray, closes: int, drawn: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who is held, at which of the HOLD_STAGES, and when that or the attempt to pay is. A card without an account needs no login: it is never held."""
    came = came_at // STEP_MS
    wait = np.where(anonymous, 0, platform.wait_ms[came])
    stay = platform.stay[came]
    leaves = ~anonymous & ((drawn[:, 0] >= stay) | (came_at + wait >= closes))
    # Who leaves does so somewhere within the wait.
    at = np.where(leaves, np.minimum(came_at + (wait * drawn[:, 3]).astype(np.int64), closes - 1), came_at + wait)
    let_in = at // STEP_MS
    stuck = ~anonymous & ~leaves & (drawn[:, 0] >= stay * platform.enters[let_in])
    stage = np.where(leaves, _QUEUE, np.where(drawn[:, 2] < platform.at_login[let_in], _LOGIN, _REGISTRATION))
    return leaves | stuck, stage, at


def _within(incident: Incident, markets: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Which markets, CHANNELS and ISSUERS an incident concerns, and the code of its failures (-1: a mixture)."""
    known = markets["region"].unique().sort().to_list()
    if unknown := [name for name in incident.regions if name not in known]:
        raise ScenarioError(f"incident.regions: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    return (
        markets["region"].is_in(incident.regions or known).to_numpy(),
        np.isin(CHANNELS, incident.channels or CHANNELS),
        np.isin(ISSUERS, incident.issuers or ISSUERS),
        FAILURE_CODES.index(incident.code) if incident.code else -1,
    )
