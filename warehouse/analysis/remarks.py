"""What an estimate says about itself: a code and values for pages in any language, and an English sentence for everybody else."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

SENTENCES = {
    "window_widened": "The window was widened to whole steps of {step} minutes: {start} to {end}.",
    "window_cut": "The window was cut at what is known as of {until}.",
    "no_rows_after": "There are no rows after {after}: taken as no sales. If the data end there, set as_of.",
    "old_history": "The nearest ordinary day is {days} days away ({nearest}): the interval was widened for what may have changed since.",
    "level_unseen": "Today's level, {level:.2f} times the expected, is beyond any in the history; that it lasts is an assumption; the interval was widened.",
    "missing_before": (
        "Already from {start} on {share:.0%} less was sold than the hours before let expect. If that belongs to the incident, begin the window there: "
        "here it counts as the day's level. The interval reaches up to an ordinary day's."
    ),
    "more_before": (
        "From {start} to the window {share:.0%} more was sold than the hours before let expect, be it a rush or one great payment, and counts as the day's level here. "
        "Whether it would have gone on is not known. The interval reaches down to an ordinary day's."
    ),
    "recovering": (
        "An incident, or another span without ordinary sales, ended in the hours before: who could not buy then may have come back, and nobody knows how many. "
        "These hours tell less of today's level, the hours before them more, and the interval was widened."
    ),
    "near_feast": (
        "Part of the window lies around Seollal or Chuseok (ten days before to three days after). What such days do to sales is taken from a table of assumptions, "
        "not from the history; the interval was widened for {least:.0%} to {most:.0%} of what is expected."
    ),
    "few_windows": "Only {windows} independent past windows; a conformal interval of {confidence:.0%} needs {needed}. Instead: {interval}.",
    "controls_used": "Markets that were not hit are used as controls; if buyers went there, the loss is overstated. Without controls it is {amount:,.0f}.",
    "controls_not_used": "Markets that were not hit are not used as controls: an exclusion without a market overlaps the window.",
    "market_days_not_used": "Market days were not used: too few of them in the history to learn what they carry.",
    "promotion_unknown": "A promotion without a factor overlaps the window: expected sales know of it only through the hours before.",
    "hours_unseen": "No ordinary day holds some hours of the window, the first at {start}: nothing is expected in them.",
    "nothing_expected": "The places hit sold nothing in the history that is learnt from: nothing can be expected of them, and the interval says nothing.",
    "closed_before": (
        "Places that sold nothing for three days or more up to the window, where sales were due: {count} ({places}). They are taken to be closed, and nothing is expected of them. "
        "If it was this incident that kept them from selling, let the window begin earlier."
    ),
    "taken_back": "{taken:.1%} of what was approved in the window was taken back again, ordinarily {usual:.1%}. Approvals count as sales: the gross shortfall is too small by about KRW {amount:,.0f}.",
    "maintenance_within": "Announced maintenance of payments lay in the window from {start} to {end}: what was not sold then counts as lost too.",
    "overlaps": "Other incidents that count some of the same sales in the window: {count} ({incidents}). What was lost then is in each of them: their figures must not be added up.",
    "interval_conformal": "conformal, from the errors of {windows} past windows of the same length and hours, each learnt without its own day",
    "interval_t": "Student's t on the relative errors of {windows} past windows",
    "interval_days": "Student's t on the errors of each day of the window over {windows} past days, added up as if the days of a window erred together",
    "interval_prior": "Student's t on {windows} past windows and a prior spread of 25 %",
    "method": (
        "Gross shortfall = expected - observed. Expected: weighted mean of days of the same kind (half-life 7 days), markets with few sales leaning on the "
        "pooled profile, times what the day before the window tells of the shocks of nation, region and market (best linear prediction). Interval: {interval}."
    ),
    "method_with_controls": (
        "Gross shortfall = expected - observed. Expected: weighted mean of days of the same kind (half-life 7 days), markets with few sales leaning on the "
        "pooled profile, times what the day before the window, and the markets not hit in the same hours, tell of the shocks of nation, region and market. "
        "Interval: {interval}."
    ),
    "amounts_unknown": "{count:,} failed purchases have no amount; they are taken as KRW {amount:,.0f} each, the mean of the others.",
    "no_amounts": "None of {count:,} failed purchases has an amount: what they were worth is not available.",
    "attempts_untold": "{share:.0%} of the failed attempts name neither purchase nor buyer, such as cards without an account; they are in no purchase.",
    "load_unknown": "How many buyers never got as far as an attempt is not available: the platform reports no load, or none of this part.",
    "kept_out": "The queue (of up to {queue:,}), login and registration kept buyers out: {count:,} turns ended before an attempt to pay. What they wanted is in no attempt.",
    "unseen_at_most": "If every turn that ended before an attempt were a purchase of its own of the mean amount, it would be KRW {amount:,.0f}.",
    "figure_counterfactual": "What was expected less what was paid (gross shortfall).",
    "figure_attempts": (
        "What failed purchases say: tried and not paid within the window, one amount a purchase as it is numbered. What was bought again under another number or elsewhere is in it: "
        "it bounds the gross shortfall on neither side."
    ),
    "figure_attempts_incomplete": (
        "What failed purchases say: tried and not paid within the window, one amount a purchase as it is numbered. What was bought again under another number or elsewhere is in it, "
        "and whoever was kept out before an attempt is not: it bounds the gross shortfall on neither side."
    ),
    "figure_unseen": "The difference of the two: gross shortfall that no attempt shows, such as buyers kept in a queue, or who did not come.",
    "figure_net": "Gross shortfall less purchases made up after the window (net shortfall).",
    "figure_merchants": "Net shortfall less what buyers paid the same merchants by paper voucher, card or cash.",
    "figure_claim": "What {source} states, held against the merchants' loss.",
    "net_unknown": "The share made up later is not available: the gross shortfall is the most that the net one can be.",
    "net_of_purchases": "The share made up later is that of failed purchases that succeeded after the window: {share:.0%} of {count:,}. What was bought under another number is not in it: its interval allows for a deviation of {missed:.0%} of the gross shortfall beside chance.",
    "net_of_buyers": "The share made up later is by how much more often buyers who failed came back than others did at such hours: {share:.0%} of {count:,}.",
    "net_kept_out": "Buyers who never got as far as an attempt made up {share:.0%}, by {count:,} of them whom events name.",
    "net_so_far": "As known at {until}, less than a day after the window: more may be made up.",
    "net_unseen": "Buyers who never got as far as an attempt are {share:.0%} of the gross shortfall; whether they came back is unknown, from none to twice as many as of the others.",
    "substitution_unknown": "No survey tells what was paid by other means: the merchants' loss is anything from nothing to the net shortfall.",
    "attempts_above": (
        "Disagreement: attempts alone come to KRW {amount:,.0f}, more than the upper end of the gross shortfall (KRW {high:,.0f}). More was wanted than was expected, failed purchases were bought "
        "again under another number or elsewhere, or approvals were taken back, which count as sales in the gross shortfall."
    ),
    "attempts_below": (
        "Disagreement: attempts, and all who were kept out, come to KRW {amount:,.0f} at most, less than the lower end of the gross shortfall (KRW {low:,.0f}). "
        "Less was wanted than was expected, or buyers did not try."
    ),
    "claim_above": "Disagreement: {source} states KRW {amount:,.0f}, above the upper end of the merchants' loss (KRW {high:,.0f}).",
    "claim_below": "Disagreement: {source} states KRW {amount:,.0f}, below the lower end of the merchants' loss (KRW {low:,.0f}).",
    "launch": (
        "Loss as a function of a demand factor. An ordinary day's sales in the window come from a regression of the logarithm of daily sales on the kind of day and on "
        "promotions ({days} days of history); the interval at a factor is Student's t, its spread leaning on a prior one of 25 %."
    ),
    "launch_no_single_number": "The demand factor is not in the data: no single figure is given. Between factors {factor_low:.2f} and {factor_high:.2f} the loss moves with it.",
    "launch_morning": "The hours before the window sold {level:.2f} times an ordinary day's. That the rest of the day would have followed them is an assumption.",
    "launch_kind_unseen": "No day of the launch's kind is in the history: all days stand for it, and the interval was widened.",
    "launch_few_days": "Only {days} ordinary days outside promotions carry the level; the interval is wide for it.",
    "launch_as_before": "The service had just launched, and nothing tells what was wanted there on an ordinary day before: the loss holds only if demand went on as in the hours before the window.",
    "forecast_no_feast": "The history of {days} days holds no Seollal or Chuseok: what they do to demand is taken from a table, with a wide range.",
    "forecast_within_year": "The history of {days} days is less than a year: growth, the year's course and most holidays are taken from what is believed in general.",
    "forecast_far": "The horizon of {count} days is longer than the history of {days} days: the last days are little more than the level of now.",
    "forecast_repaired": "Hours of incidents, switch-offs and exclusions that were filled from the other hours of their days: {count}.",
    "forecast_promotion": "A promotion without a factor lies ahead: its effect is that of those before, or, where there was none, from 1 to 6 times.",
}
"""Every remark by its code. Moments are local; ``amount`` is in the unit of the sales, where it says none, and KRW where only accounts of payments have it; ``level`` and ``confidence`` are shares of 1."""


class Remark(str):
    """An English sentence that also says its ``code`` and the ``values`` in it; a value may be a remark itself."""

    __slots__ = ("code", "values")
    code: str
    values: Mapping[str, Any]

    def __new__(cls, code: str, values: Mapping[str, Any] | None = None) -> Self:
        """The remark of a code of ``SENTENCES``; any other is a bug and a KeyError."""
        remark = super().__new__(cls, SENTENCES[code].format_map(values or {}))
        remark.code, remark.values = code, MappingProxyType(dict(values or {}))
        return remark

    def __getnewargs__(self) -> tuple[str, dict[str, Any]]:  # type: ignore[override]
        """What a copy, also one in another process, is made from."""
        return self.code, dict(self.values)

    def __getstate__(self) -> None:
        """Nothing beyond that."""
