"""Every figure of an account as page, report and command tell it: on a launch the range over the demand that nobody knows leads, and what follows from it is a range too."""

from dataclasses import replace

from warehouse.analysis import Figure, Reconciliation
from warehouse.analysis.reconciliation import claimed
from warehouse.ladder import Ladder, Scenario, ladder_of
from warehouse.losses import LossAccount


def side_by_side(account: LossAccount) -> Reconciliation:
    """The account's reconciliation; on a launch its first figure is ``launch``, the counterfactual is ``as_before`` (if demand went on as in the hours before), and only claims disagree."""
    known = account.reconciliation
    if account.launch is None:
        return known
    ladder = ladder_of(account, Scenario())
    figures = [_on_launch(figure, account, ladder) for figure in known.figures]
    merchants = next(figure for figure in figures if figure.method == "merchants_loss")
    claims = [(str(figure.meaning.values["source"]), figure.value) for figure in figures if figure.method == "claim" and figure.value is not None]
    leading = Figure("launch", None, account.launch.low, account.launch.high, account.launch.method, list(account.launch.warnings))
    return Reconciliation([leading, *figures], [remark for source, value in claims for remark in claimed(source, value, merchants)])


def _on_launch(figure: Figure, account: LossAccount, ladder: Ladder) -> Figure:
    match figure.method:
        case "counterfactual":
            return replace(figure, method="as_before")
        case "net" if account.net is not None:
            return replace(figure, value=None, low=ladder.net.low, high=ladder.net.high, ranged=ladder.net.ranged)
        case "merchants_loss":
            return replace(figure, value=ladder.merchants.value, low=ladder.merchants.low, high=ladder.merchants.high, ranged=ladder.merchants.ranged)
        case "unseen" if account.attempts.lost is not None and account.attempts.low is not None:
            most = account.attempts.high or account.attempts.lost
            low, high = (max(ladder.gross.low - most, 0.0), max(ladder.gross.high - account.attempts.low, 0.0))
            return replace(figure, value=None, low=low, high=high)
    return figure
