"""From what was expected to what merchants lost, step by step, as the account of a loss has it or under a scenario that the reader moves."""

from dataclasses import dataclass
from typing import Self

from warehouse.analysis import Share, net_shortfall
from warehouse.losses import LossAccount


@dataclass(frozen=True)
class Range:
    """A figure in KRW with its interval; ``value`` is None where only the interval is known. ``ranged`` as in ``Figure``: the ends are no interval of a probability."""

    value: float | None
    low: float
    high: float
    ranged: bool = False


@dataclass(frozen=True)
class Ladder:
    """The steps in KRW: ``expected`` − ``observed`` = ``gross``; − ``made_up`` = ``net``; − ``substituted`` = ``merchants``.

    On a launch nobody knows the demand: unless a scenario says it, every step but ``observed`` is a range without a value. ``unseen`` is the part of the gross that no failed purchase explains: people who never reached a payment; None where no purchase has an amount. ``back`` is the share of those who tried that
    came back; None where it is not known, and then ``made_up`` is None, ``net`` and ``merchants`` are ranges up to the gross's high end without a value.
    ``substitution`` None: nobody knows it, and ``merchants`` has a range and no value.
    """

    expected: Range
    observed: float
    gross: Range
    made_up: float | None
    unseen: float | None
    back: float | None
    net: Range
    substitution: Share | None
    merchants: Range

    @property
    def substitution_percent(self) -> int:
        """The share paid by other means in whole percent, for a slider; 0 where nobody knows it, or it takes nothing off for want of a net."""
        return round(self.substitution.share * 100) if self.substitution and self.back is not None else 0

    @property
    def back_percent(self) -> int:
        """The share that came back in whole percent, likewise."""
        return round(self.back * 100) if self.back is not None else 0

    @property
    def substituted(self) -> float | None:
        """What buyers paid the same merchants by other means."""
        return self.net.value - self.merchants.value if self.net.value is not None and self.merchants.value is not None else None


@dataclass(frozen=True)
class Scenario:
    """What the data do not tell: demand over what was expected, the share of the net that was paid by other means, the share of the unseen that came back.

    On a launch the demand is over that of an ordinary day. None is what the account says: the demand that was expected, on a launch all that are possible;
    the survey's share; and of the unseen as many as of those who tried. The default changes nothing.
    """

    demand: float | None = None
    substitution: float | None = None
    unseen_back: float | None = None

    @classmethod
    def moved(cls, demand: float, substitution: float, unseen_back: float, known: Ladder) -> Self:
        """From sliders in percent; one that stands where ``known`` puts it at first says what the account says, to the last digit."""
        as_surveyed = known.substitution is not None and substitution == known.substitution_percent
        as_tried = unseen_back == known.back_percent
        return cls(demand, None if as_surveyed else substitution / 100, None if as_tried else unseen_back / 100)


def ladder_of(account: LossAccount, scenario: Scenario) -> Ladder:
    """The steps under ``scenario``; the default one's are the account's own.

    A demand of x times the expected one moves expected sales and both ends of their interval by x; what is more than failed purchases explain is unseen.
    """
    observed, gross = account.gross.observed, _gross(account, scenario)
    if gross.value is None:
        net, made_up, unseen = _net_of_range(account, scenario, gross), None, None
    else:
        lost = max(gross.value, 0.0)
        share = _made_up(account, scenario, lost)
        net = Range(*net_shortfall(gross.value, gross.low, gross.high, share))
        tried = account.attempts.lost
        made_up, unseen = share.share * lost, None if tried is None else lost - min(tried, lost)
    if account.net is None:
        net, made_up = Range(None, min(gross.low, 0.0), net.high, ranged=True), None
    substitution = account.substitution if scenario.substitution is None else Share(*(scenario.substitution,) * 3)
    # A survey is about the net, as in ``reconcile``: where there is none it takes nothing off.
    taken = substitution if account.net or scenario.substitution is not None else None
    return Ladder(
        expected=Range(None if gross.value is None else gross.value + observed, gross.low + observed, gross.high + observed),
        observed=observed,
        gross=gross,
        made_up=made_up,
        unseen=unseen,
        back=account.net.made_up.share if account.net else None,
        net=net,
        substitution=substitution,
        merchants=_merchants(net, taken),
    )


def _gross(account: LossAccount, scenario: Scenario) -> Range:
    loss, launch = account.gross, account.launch
    if launch is not None:
        return Range(None, launch.low, launch.high) if scenario.demand is None else Range(*launch.at(scenario.demand))
    demand = 1.0 if scenario.demand is None else scenario.demand
    lost, low, high = ((figure + loss.observed) * demand - loss.observed for figure in (loss.lost, loss.low, loss.high))
    return Range(lost, low, high)


def _net_of_range(account: LossAccount, scenario: Scenario, gross: Range) -> Range:
    """What is left of either end of a range: of the lower if most came back, of the upper if least did. No probability belongs to what lies between."""
    low = gross.low * (1 - _made_up(account, scenario, gross.low).high) if gross.low > 0 else gross.low
    high = gross.high * (1 - _made_up(account, scenario, gross.high).low) if gross.high > 0 else gross.high
    return Range(None, low, high, ranged=True)


def _made_up(account: LossAccount, scenario: Scenario, lost: float) -> Share:
    """As a share of the whole gross, of those who tried at least none where nobody knows. A share of the unseen that the scenario gives has no interval."""
    known = account.net.made_up if account.net else Share(0.0, 0.0, 0.0)
    if scenario.unseen_back is None or account.attempts.lost is None or lost <= 0:
        return known
    seen = min(account.attempts.lost, lost)
    return Share(*((share * seen + scenario.unseen_back * (lost - seen)) / lost for share in (known.share, known.low, known.high)))


def _merchants(net: Range, share: Share | None) -> Range:
    """The net less what was paid by other means; intervals as ``net_shortfall`` combines them. Without a survey, from nothing to the whole net."""
    if share is None:
        return Range(None, min(net.low, 0.0), net.high, ranged=True)
    if net.value is None:
        return Range(None, min(net.low, net.low * (1 - share.high)), net.high * (1 - share.low), net.ranged)
    return Range(*net_shortfall(net.value, net.low, net.high, share))
