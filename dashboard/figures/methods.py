"""Several ways to the same loss, side by side: where they agree, and where claims from outside lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from warehouse.analysis import Figure, LossEstimate, Remark
from warehouse.losses import LossAccount
from warehouse.side_by_side import side_by_side

About = Literal["gross", "attempts", "unseen", "net", "merchants", "claim"]

_ABOUT: Mapping[str, About] = {
    "launch": "gross",
    "counterfactual": "gross",
    "as_before": "gross",
    "attempts": "attempts",
    "unseen": "unseen",
    "net": "net",
    "merchants_loss": "merchants",
    "claim": "claim",
}
_ESTIMATED = ("counterfactual", "as_before")


@dataclass(frozen=True)
class Method:
    """One figure in KRW for the loss: what it is about, its interval where it has one, and for a claim whether it lies within ours.

    ``low`` and ``high`` are None for a figure without an interval. ``remarks`` are what the method itself has to say; ``ranged`` as in ``warehouse.analysis.Figure``.
    """

    name: str
    about: About
    value: float | None
    low: float | None
    high: float | None
    source: str = ""
    within: bool | None = None
    remarks: list[Remark] = field(default_factory=list)
    ranged: bool = False


def methods_of(account: LossAccount, padded: LossEstimate | None) -> list[Method]:
    """The account's figures as ``side_by_side`` has them, with the window padded behind the estimate, then what others say."""
    figures = side_by_side(account).figures
    merchants = next(figure for figure in figures if figure.method == "merchants_loss")
    found = [_method(figure, merchants) for figure in figures]
    if padded is not None:
        estimated = next(place for place, figure in enumerate(figures) if figure.method in _ESTIMATED)
        found.insert(estimated + 1, Method(_padded_name(account.gross, padded), "gross", padded.lost, padded.low, padded.high))
    return found


def _padded_name(gross: LossEstimate, padded: LossEstimate) -> str:
    """Whether the window grew at both ends alike, or after its end not at all or less: no more than is counted."""
    before, after = gross.start - padded.start, padded.end - gross.end
    if after >= before:
        return "padded"
    return "padded_part" if after else "padded_before"


def _method(figure: Figure, merchants: Figure) -> Method:
    about = _ABOUT[figure.method]
    if about == "claim" and figure.value is not None:
        within = (merchants.low is None or figure.value >= merchants.low) and (merchants.high is None or figure.value <= merchants.high)
        return Method(figure.method, about, figure.value, None, None, str(figure.meaning.values["source"]), within, figure.remarks)
    low, high = figure.ends
    # Remarks on the gross are shown with its method.
    return Method(figure.method, about, figure.value, low, high, remarks=[] if figure.method in _ESTIMATED else figure.remarks, ranged=figure.ranged)
