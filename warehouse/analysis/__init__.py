"""Expected sales, losses and incidents: pure functions, frames in, frames out. No clock, no database, no Kafka."""

from warehouse.analysis.attempts import AttemptsEstimate, Unseen, estimate_attempts
from warehouse.analysis.baseline import expected_sales
from warehouse.analysis.calendar import day_types
from warehouse.analysis.counts import expected_counts
from warehouse.analysis.errors import AnalysisError, FrameError, HistoryError
from warehouse.analysis.incidents import detect
from warehouse.analysis.launch import LaunchScenario, launch_scenario
from warehouse.analysis.loss import LossEstimate, estimate_loss
from warehouse.analysis.net import Share, made_up_share, merchants_loss, net_shortfall, with_unseen
from warehouse.analysis.reconciliation import Figure, Reconciliation, reconcile
from warehouse.analysis.remarks import Remark
from warehouse.analysis.returns import NetEstimate, Returns, made_up_by_buyers, net_by_buyers, net_by_purchases

__all__ = [
    "AnalysisError",
    "AttemptsEstimate",
    "Figure",
    "FrameError",
    "HistoryError",
    "LaunchScenario",
    "LossEstimate",
    "NetEstimate",
    "Reconciliation",
    "Remark",
    "Returns",
    "Share",
    "Unseen",
    "day_types",
    "detect",
    "estimate_attempts",
    "estimate_loss",
    "expected_counts",
    "expected_sales",
    "launch_scenario",
    "made_up_by_buyers",
    "made_up_share",
    "merchants_loss",
    "net_by_buyers",
    "net_by_purchases",
    "net_shortfall",
    "reconcile",
    "with_unseen",
]
