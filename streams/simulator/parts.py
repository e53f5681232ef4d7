"""The tables of a scenario file. Shares are within 0-1, money is KRW, moments carry their zone; unknown fields are refused."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Channel = Literal["card", "mobile"]

CHANNELS = ("card", "mobile")

ISSUERS = ("한빛카드", "새길카드", "온마루카드", "다솜카드", "푸른은행", "가온은행", "미르은행", "누리상호금융")
"""Invented."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a scenario file."""


class Country(Part, frozen=True):
    """The markets: invented, or those of ``file``, a market list in CSV (the official one, in UTF-8 or CP949, or one with our own column names).

    ``markets``, ``cycle_share`` (of markets on a 5-day cycle) are for invented ones. ``merchants`` is their mean number a market where the list
    has none; ``market_day_factor`` what a market day carries against another day.
    """

    file: str | None = None
    markets: Annotated[int, msgspec.Meta(ge=1, le=9999)] = 1400
    merchants: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 140
    cycle_share: Share = 0.30
    market_day_factor: Positive = 4.0


class Demand(Part, frozen=True):
    """What buyers want on an ordinary day at scale 1.

    ``mean_amount`` is KRW a purchase. ``noise`` is the spread of a day's level that all markets share, ``regional_noise`` of what a region's share
    (weather and the like), ``drift`` of what moves each market over months. ``growth_a_year`` counts from the last ordinary day.
    ``repeats`` is the share of purchases that the same buyer follows with another one in the same market within hours; ``anonymous_cards`` the share
    of card purchases by cards without an account; ``visits`` how many people come to the platform for each purchase, to look, register or top up.
    """

    purchases_a_day: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 76_000
    mean_amount: Annotated[float, msgspec.Meta(ge=2_000, le=1_000_000)] = 25_000.0
    card_share: Annotated[float, msgspec.Meta(ge=0.1, le=0.9)] = 0.55
    noise: Share = 0.03
    regional_noise: Share = 0.04
    drift: Share = 0.10
    growth_a_year: Annotated[float, msgspec.Meta(gt=-1, le=10)] = 0.30
    repeats: Annotated[float, msgspec.Meta(ge=0, le=0.9)] = 0.10
    anonymous_cards: Share = 0.12
    visits: NotNegative = 1.0


class Platform(Part, frozen=True):
    """What the platform does on an ordinary day, as shares of attempts (reversals: of approvals; late approvals: of timeouts).

    Of late approvals ``auto_reversal_share`` is taken back by the network within a minute (망취소). A platform with ``sends_purchase_id = false`` tells neither purchase nor attempt.
    """

    failure_rate: Share = 0.005
    decline_rate: Share = 0.03
    reversal_rate: Share = 0.007
    late_approval_share: Share = 0.08
    auto_reversal_share: Share = 0.6
    sends_purchase_id: bool = True


class World(Part, frozen=True):
    """How buyers and days behave beyond what the other tables say. The defaults are the ordinary world; ``second_world`` draws others for scoring.

    ``tails``: degrees of freedom of day-to-day noise (0: lognormal). ``warp_minutes``: how far the day's rhythm is shifted. ``weekday_tilt``: how
    much Saturdays gain and Mondays lose. ``drift_an_hour``: by what share demand itself changes each hour while there is an incident, in the
    world without it too. ``spillover``: how much of its neighbours' noise a market takes on. Of buyers whose try came to nothing, ``patience``
    tries again within minutes, ``comes_back`` hours later; ``switches_channel`` is the share that changes it after a failed attempt to pay,
    ``splits`` that tries two smaller payments instead, ``switches_market`` that walks to the nearest other market. Of those whom an incident left without
    anything, ``days_later`` come back on one of the next days.
    """

    tails: NotNegative = 0.0
    warp_minutes: Annotated[float, msgspec.Meta(ge=-240, le=240)] = 0.0
    weekday_tilt: Annotated[float, msgspec.Meta(ge=-0.9, le=0.9)] = 0.0
    drift_an_hour: Annotated[float, msgspec.Meta(gt=-1, le=1)] = 0.0
    spillover: Share = 0.0
    patience: Share = 0.68
    comes_back: Share = 0.12
    switches_channel: Share = 0.15
    splits: Share = 0.04
    switches_market: Share = 0.05
    days_later: Share = 0.20
