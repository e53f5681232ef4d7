"""Several ways to the same loss, side by side: where they agree, and where claims from outside lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from dashboard.figures.ladder import Ladder, Scenario, ladder_of
from warehouse.analysis import Figure, LossEstimate, Remark
from warehouse.losses import LossAccount

About = Literal["gross", "bound", "unseen", "net", "merchants", "claim"]

_ABOUT: Mapping[str, About] = {
    "counterfactual": "gross",
    "attempts": "bound",
    "unseen": "unseen",
    "net": "net",
    "merchants_loss": "merchants",
    "claim": "claim",
}


@dataclass(frozen=True)
class Method:
    """One figure in KRW for the loss: what it is about, its interval where it has one, and for a claim whether it lies within ours.

    ``low`` and ``high`` are None for a figure without an interval. ``remarks`` are what the method itself has to say.
    """

    name: str
    about: About
    value: float | None
    low: float | None
    high: float | None
    source: str = ""
    within: bool | None = None
    remarks: list[Remark] = field(default_factory=list)


def methods_of(account: LossAccount, padded: LossEstimate | None) -> list[Method]:
    """The account's figures from above to below, with the window padded, then what others say.

    On a launch the range over the demand that nobody knows comes first, and what is worked out from the gross is a range too.
    """
    figures = account.reconciliation.figures
    merchants = next(figure for figure in figures if figure.method == "merchants_loss")
    found = [_method(figure, merchants) for figure in figures]
    if padded is not None:
        found.insert(1, Method(_padded_name(account.gross, padded), "gross", padded.lost, padded.low, padded.high))
    if account.launch is None:
        return found
    ladder = ladder_of(account, Scenario())
    launch = Method("launch", "gross", None, account.launch.low, account.launch.high, remarks=list(account.launch.warnings))
    return [launch, *(_on_launch(method, account, ladder) for method in found)]


def _padded_name(gross: LossEstimate, padded: LossEstimate) -> str:
    """Whether the window grew at both ends alike, or after its end not at all or less: no more than is counted."""
    before, after = gross.start - padded.start, padded.end - gross.end
    if after >= before:
        return "padded"
    return "padded_part" if after else "padded_before"


def disagreements_of(account: LossAccount) -> list[Remark]:
    """Where methods and claims disagree beyond their intervals; on a launch, claims beyond the range."""
    if account.launch is None:
        return account.reconciliation.disagreements
    merchants = ladder_of(account, Scenario()).merchants
    claims = [(method.source, method.value) for method in methods_of(account, None) if method.about == "claim" and not method.within]
    return [
        Remark("claim_above", {"source": source, "amount": value, "high": merchants.high})
        if value is not None and value > merchants.high
        else Remark("claim_below", {"source": source, "amount": value, "low": merchants.low})
        for source, value in claims
    ]


def _on_launch(method: Method, account: LossAccount, ladder: Ladder) -> Method:
    merchants = ladder.merchants
    match method.name:
        case "counterfactual":
            return replace(method, name="as_before")
        case "net" if account.net is not None:
            return replace(method, value=None, low=ladder.net.low, high=ladder.net.high)
        case "merchants_loss":
            return replace(method, value=merchants.value, low=merchants.low, high=merchants.high)
        case "unseen" if account.attempts.lost is not None and account.attempts.low is not None:
            most = account.attempts.high or account.attempts.lost
            low, high = (max(ladder.gross.low - most, 0.0), max(ladder.gross.high - account.attempts.low, 0.0))
            return replace(method, value=None, low=low, high=high)
        case "claim" if method.value is not None:
            return replace(method, within=merchants.low <= method.value <= merchants.high)
    return method


def _method(figure: Figure, merchants: Figure) -> Method:
    about = _ABOUT[figure.method]
    if about == "claim" and figure.value is not None:
        within = (merchants.low is None or figure.value >= merchants.low) and (merchants.high is None or figure.value <= merchants.high)
        return Method(figure.method, about, figure.value, None, None, str(figure.meaning.values["source"]), within, figure.remarks)
    if about == "bound" and figure.high is not None:
        about = "gross"
    low, high = (figure.low, figure.high) if figure.low is not None and figure.high is not None else (None, None)
    # Remarks on the gross are shown with its method.
    return Method(figure.method, about, figure.value, low, high, remarks=[] if figure.method == "counterfactual" else figure.remarks)
