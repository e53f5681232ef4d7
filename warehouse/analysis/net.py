"""From the gross shortfall to what merchants lost: purchases made up later, and what was paid there by other means."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import polars as pl

from warehouse.analysis.asked import level_of
from warehouse.analysis.errors import AnalysisError

TENTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Share:
    """A share of 1 with its interval."""

    share: float
    low: float
    high: float


def made_up_share(failed: int, failed_back: int, others: int, others_back: int, *, level: float = 0.9) -> Share:
    """The share of failed purchases that the failure brought back: the repeat rate of buyers who failed less that of matched buyers who did not.

    ``failed`` buyers of whom ``failed_back`` bought in the same market within the hours looked at, and ``others``, likewise. Ordinary
    repeat visits are in both rates, so that the difference leaves them out. Interval: Newcombe's (1998) hybrid of Wilson scores; clipped to 0..1.

    Raises:
        AnalysisError: a count is impossible, one of the groups is empty, or the level cannot be used.
    """
    for name, of, back in (("failed", failed, failed_back), ("others", others, others_back)):
        if of < 1 or not 0 <= back <= of:
            raise AnalysisError(
                f"{name}: expected at least one buyer, and of them those who came back, got {back} of {of}. Give both counts, or a range instead."
            )
    z = NormalDist().inv_cdf((1 + level_of(level)) / 2)
    one, other = failed_back / failed, others_back / others
    (one_low, one_high), (other_low, other_high) = _wilson(failed_back, failed, z), _wilson(others_back, others, z)
    found = one - other
    low = found - ((one - one_low) ** 2 + (other_high - other) ** 2) ** 0.5
    high = found + ((one_high - one) ** 2 + (other - other_low) ** 2) ** 0.5
    return Share(*(min(max(figure, 0.0), 1.0) for figure in (found, low, high)))


def with_unseen(made_up: Share, unseen: float) -> Share:
    """The share of the whole gross shortfall, of which ``unseen`` (0..1) belongs to buyers who are in no data.

    Whether those came back is not known: the value takes them to be like the others, the range reaches from none of them to twice as many.

    Raises:
        AnalysisError: ``unseen`` is no share.
    """
    if not 0 <= unseen <= 1:
        raise AnalysisError(f"unseen: expected a share from 0 to 1, got {unseen}. For 30 % give 0.3.")
    apart = unseen * made_up.share
    return Share(made_up.share, max(made_up.low - apart, 0.0), min(made_up.high + apart, 1.0))


def net_shortfall(lost: float, low: float, high: float, made_up: Share) -> tuple[float, float, float]:
    """Net = gross x (1 - share made up), with its interval, in the unit of the gross. A gross of nothing or less is left as it is.

    Where nothing was lost nothing can be made up: a share of more sales than expected is no part of a loss.
    The half-widths of gross and share are combined in quadrature, relative to the point estimate (first order), as if independent.
    """
    if lost <= 0:
        return lost, low, high
    kept = 1 - made_up.share
    net = lost * kept
    down = ((lost - low) * kept) ** 2 + (abs(lost) * (made_up.high - made_up.share)) ** 2
    up = ((high - lost) * kept) ** 2 + (abs(lost) * (made_up.share - made_up.low)) ** 2
    return net, net - down**0.5, net + up**0.5


def merchants_loss(net: float, low: float, high: float, substitution: Sequence[float] = TENTHS) -> pl.DataFrame:
    """What merchants lost for each share of the net that buyers paid them by paper voucher, card or cash instead; of a net of nothing or less none was.

    That share is not in the platform's data: without a survey the answer is this line and no number. Columns ``substitution``, ``lost``, ``low``, ``high``.

    Raises:
        AnalysisError: a share is not in 0..1.
    """
    wrong = [share for share in substitution if not 0 <= share <= 1]
    if wrong:
        raise AnalysisError(f"substitution: expected shares from 0 to 1, got {wrong[0]}. For 30 % give 0.3.")
    kept = [(float(share), 1 - share if net > 0 else 1.0) for share in substitution]
    rows = [(share, net * left, low * left, high * left) for share, left in kept]
    return pl.DataFrame(rows, schema=["substitution", "lost", "low", "high"], orient="row")


def _wilson(count: int, of: int, z: float) -> tuple[float, float]:
    centre = (count + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * (count * (of - count) / of + z * z / 4) ** 0.5
    return centre - half, centre + half
