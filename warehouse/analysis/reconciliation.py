"""The same loss from several sides: from expected sales, from failed purchases, what these do not show, and what others claim. Where they disagree, it is said."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from warehouse.analysis.attempts import AttemptsEstimate
from warehouse.analysis.errors import need_columns
from warehouse.analysis.net import Share, net_shortfall
from warehouse.analysis.remarks import Remark

Interval = tuple[float, float, float]
"""A value, its low and its high end."""


@dataclass(frozen=True)
class Figure:
    """One method's answer in KRW. ``value``, ``low``, ``high`` are None where it has none: unknown, or open on that side.

    ``method`` is ``counterfactual``, ``attempts``, ``unseen``, ``net``, ``merchants_loss`` or ``claim``; ``meaning`` says what it measures. Where it is
    ``ranged``, its ends are what an unknown leaves open (amounts, other means of payment), and no interval of a probability.
    """

    method: str
    value: float | None
    low: float | None
    high: float | None
    meaning: Remark
    remarks: list[Remark] = field(default_factory=list)
    ranged: bool = False

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """Both ends, or neither: one of them alone bounds nothing."""
        return (None, None) if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Reconciliation:
    """Every method's figure from expected sales on, then claims; and where they disagree beyond their intervals."""

    figures: list[Figure]
    disagreements: list[Remark]

    @property
    def table(self) -> pl.DataFrame:
        """Methods side by side: ``method``, ``value``, ``low``, ``high`` (both null: no ends), ``ranged``, ``meaning`` and ``remark`` in English."""
        rows = [(f.method, f.value, *f.ends, f.ranged, str(f.meaning), " ".join(f.remarks)) for f in self.figures]
        texts, numbers = dict.fromkeys(("meaning", "remark"), pl.String), dict.fromkeys(("value", "low", "high"), pl.Float64)
        return pl.DataFrame(rows, schema={"method": pl.String, **numbers, "ranged": pl.Boolean, **texts}, orient="row")


def reconcile(
    gross: Interval,
    *,
    attempts: AttemptsEstimate | None = None,
    net: Interval | None = None,
    substitution: Share | None = None,
    claims: pl.DataFrame | None = None,
    gross_remarks: Sequence[Remark] = (),
    net_remarks: Sequence[Remark] = (),
) -> Reconciliation:
    """Put the figures of one window side by side and compare them.

    ``gross`` is the counterfactual's shortfall; ``net`` what is left of it without purchases made up later (None: not available);
    ``substitution`` the share of it that a survey found to be paid to the same merchants by other means (None: no survey, then the merchants' loss
    is anything from nothing to the net). ``claims``: ``source``, ``amount``; they are about merchants' losses and compared with those.

    Raises:
        FrameError: the claims lack a column.
    """
    figures = [Figure("counterfactual", *gross, Remark("figure_counterfactual"), list(gross_remarks))]
    disagreements: list[Remark] = []
    if attempts is not None:
        meaning = Remark("figure_attempts_incomplete" if attempts.incomplete else "figure_attempts")
        figures.append(Figure("attempts", attempts.lost, attempts.low, attempts.high, meaning, list(attempts.warnings), ranged=True))
        figures.append(_unseen(gross, attempts))
        disagreements += _above_and_below(gross, attempts)
    unknown = [] if net else [Remark("net_unknown")]
    value, low, high = net or (None, None, None)
    figures.append(Figure("net", value, low, high, Remark("figure_net"), [*unknown, *net_remarks]))
    merchants = _merchants(net, substitution) if net else Figure("merchants_loss", None, min(gross[1], 0.0), gross[2], Remark("figure_merchants"), ranged=True)
    figures.append(merchants)
    if claims is not None and len(claims):
        need_columns(claims, "claims", ("source", "amount"))
        for source, amount in claims.select("source", "amount").iter_rows():
            figures.append(Figure("claim", float(amount), None, None, Remark("figure_claim", {"source": str(source)})))
            disagreements += claimed(str(source), float(amount), merchants)
    return Reconciliation(figures, disagreements)


def _unseen(gross: Interval, attempts: AttemptsEstimate) -> Figure:
    """What the counterfactual finds and no attempt shows; no figure where nobody knows what attempts were worth."""
    if attempts.lost is None or attempts.low is None:
        return Figure("unseen", None, None, None, Remark("figure_unseen"))
    value, low, high = (max(one - other, 0.0) for one, other in zip(gross, (attempts.lost, attempts.high or attempts.lost, attempts.low), strict=True))
    most = _unseen_at_most(attempts)
    remarks = [] if most is None else [Remark("unseen_at_most", {"amount": most})]
    return Figure("unseen", value, low, high, Remark("figure_unseen"), remarks, ranged=True)


def _unseen_at_most(attempts: AttemptsEstimate) -> float | None:
    """Each turn that ended before an attempt as a purchase of its own, of the mean amount."""
    if attempts.unseen is None or attempts.amount is None or not attempts.purchases:
        return None
    return attempts.unseen.turns * attempts.amount / attempts.purchases


def _above_and_below(gross: Interval, attempts: AttemptsEstimate) -> list[Remark]:
    if attempts.lost is None or attempts.low is None:
        return []
    if attempts.low > gross[2]:
        return [Remark("attempts_above", {"amount": attempts.low, "high": gross[2]})]
    most = _unseen_at_most(attempts)
    if most is not None and attempts.lost + most < gross[1]:
        return [Remark("attempts_below", {"amount": attempts.lost + most, "low": gross[1]})]
    return []


def _merchants(net: Interval, substitution: Share | None) -> Figure:
    if substitution is None:
        return Figure("merchants_loss", None, min(net[1], 0.0), net[2], Remark("figure_merchants"), [Remark("substitution_unknown")], ranged=True)
    # what was paid by other means is taken off the net as what was made up is off the gross
    return Figure("merchants_loss", *net_shortfall(*net, substitution), Remark("figure_merchants"), [])


def claimed(source: str, amount: float, merchants: Figure) -> list[Remark]:
    """What there is to say of a claim beyond the merchants' loss; nothing where it lies within."""
    if merchants.high is not None and amount > merchants.high:
        return [Remark("claim_above", {"source": source, "amount": amount, "high": merchants.high})]
    if merchants.low is not None and amount < merchants.low:
        return [Remark("claim_below", {"source": source, "amount": amount, "low": merchants.low})]
    return []
