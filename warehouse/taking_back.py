"""How much of what was approved was taken back (망취소, 환불): approvals count as sales, also those that the network takes back a minute later."""

from dataclasses import dataclass
from datetime import datetime

from warehouse.analysis import Remark
from warehouse.reading import Snapshot

WORTH_SAYING = 0.01
"""So much more than ordinary, as a share of approvals; in simulated worlds incidents have 2 to 10 points more, ordinary days stray by less than one."""

FEW = 30
"""Fewer reversals may be chance, such as one large refund in a market."""


@dataclass(frozen=True)
class TakenBack:
    """KRW taken back in a window, each by the minute of its reversal: what is taken back after the window is not in it.

    ``share`` is of what was approved in the window, ``usual`` of what was approved in the weeks before it; None where nothing was approved.
    Earlier incidents are among those weeks: they make the usual share larger, and what is said smaller.
    ``excess`` is what is beyond the ordinary share, None where that is not known: by about so much the gross shortfall, which takes approvals for sales, is too small.
    """

    amount: int
    share: float | None
    usual: float | None
    excess: float | None
    remarks: list[Remark]


def taken_back(snapshot: Snapshot, since: datetime, start: datetime, end: datetime, *, scope: str = "nation", scope_name: str = "") -> TakenBack:
    """What was taken back in [start, end) within a scope, beside the usual share of [since, start); aware times."""
    row = snapshot.query("taken_back_in_span", since=since, start=start, end=end, scope=scope, scope_name=scope_name).row(0, named=True)
    share, usual = _share(row["reversed_amount"], row["approved_amount"]), _share(row["reversed_before"], row["approved_before"])
    if share is None or usual is None:
        return TakenBack(row["reversed_amount"], share, usual, None, [])
    excess = row["reversed_amount"] - usual * row["approved_amount"]
    said = row["reversed"] >= FEW and share - usual > WORTH_SAYING
    remarks = [Remark("taken_back", {"taken": share, "usual": usual, "amount": excess})] if said else []
    return TakenBack(row["reversed_amount"], share, usual, excess, remarks)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
