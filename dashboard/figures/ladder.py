"""From what was expected to what merchants lost, step by step, as measured or under a scenario that the reader moves."""

from dataclasses import dataclass
from typing import Any

from dashboard.figures.people import People
from warehouse.analysis import LossEstimate, Share, net_shortfall


@dataclass(frozen=True)
class Range:
    """A figure in KRW with its interval; ``value`` is None where only the interval is known."""

    value: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Scenario:
    """What the data do not tell: demand over what was expected, the share of the net that was paid by other means, the share of the unseen that came back.

    ``substitution`` None: as the survey says, and without one unknown. The default changes nothing.
    """

    demand: float = 1.0
    substitution: float | None = None
    unseen_back: float = 0.0

    @property
    def plain(self) -> bool:
        """Nothing is assumed beyond the data."""
        return self == Scenario()


@dataclass(frozen=True)
class Ladder:
    """The steps in KRW: ``expected`` − ``observed`` = ``gross``; − ``made_up`` = ``net``; − ``substituted`` = ``merchants``.

    ``unseen`` is the part of the gross that no failed purchase explains: people who never reached a payment.
    ``substitution`` None: nobody knows it, and ``merchants`` is the range from nothing to the whole net.
    """

    expected: float
    observed: float
    gross: Range
    made_up: float
    unseen: float
    net: Range
    substitution: Share | None
    merchants: Range

    @property
    def substituted(self) -> float | None:
        """What buyers paid the same merchants by other means."""
        return self.net.value - self.merchants.value if self.net.value is not None and self.merchants.value is not None else None


def ladder_of(loss: LossEstimate, people: People, survey: dict[str, Any] | None, scenario: Scenario) -> Ladder:
    """The steps under ``scenario``; ``survey`` has substitution, low and high as shares of 1.

    A demand of x times the expected one moves expected sales and both ends of their interval by x. What came back after the end is
    measured for purchases that failed; the unseen come back by the scenario's share, and for the interval anywhere up to the share of those who failed.
    """
    expected = loss.expected * scenario.demand
    gross = Range(*((figure + loss.observed) * scenario.demand - loss.observed for figure in (loss.lost, loss.low, loss.high)))
    lost = gross.value or 0.0
    unseen = max(lost - people.lost_amount, 0.0)
    made_up = min(people.made_up_amount + scenario.unseen_back * unseen, max(lost, 0.0))
    seen_back = people.made_up_amount / people.lost_amount if people.lost_amount else 0.0
    net = _net(gross, Share(made_up, min(people.made_up_amount, made_up), max(made_up, people.made_up_amount + seen_back * unseen)))
    share = _substitution(survey, scenario)
    if share is None:
        merchants = Range(None, 0.0, max(net.high, 0.0))
    else:
        merchants = Range((net.value or 0.0) * (1 - share.share), net.low * (1 - share.high), net.high * (1 - share.low))
    return Ladder(expected, loss.observed, gross, made_up, unseen, net, share, merchants)


def _net(gross: Range, made_up: Share) -> Range:
    lost = gross.value or 0.0
    if lost <= 0:
        return gross
    return Range(*net_shortfall(lost, gross.low, gross.high, Share(*(min(amount / lost, 1.0) for amount in (made_up.share, made_up.low, made_up.high)))))


def _substitution(survey: dict[str, Any] | None, scenario: Scenario) -> Share | None:
    if scenario.substitution is not None:
        return Share(scenario.substitution, scenario.substitution, scenario.substitution)
    return Share(survey["substitution"], survey["low"], survey["high"]) if survey else None
