"""Expected sales, losses and incidents: pure functions, frames in, frames out. No clock, no database, no Kafka."""

from warehouse.analysis.attempts import AttemptsEstimate, Unseen, estimate_attempts
from warehouse.analysis.availability import Availability, availability
from warehouse.analysis.baseline import expected_sales
from warehouse.analysis.calendar import day_types
from warehouse.analysis.counts import Usual, expected_counts, usual_day
from warehouse.analysis.errors import AnalysisError, FrameError, HistoryError, LongWindowError
from warehouse.analysis.incidents import detect
from warehouse.analysis.launch import LaunchScenario, launch_scenario
from warehouse.analysis.loss import LossEstimate, estimate_loss
from warehouse.analysis.net import Share, made_up_share, merchants_loss, net_shortfall, with_unseen
from warehouse.analysis.reconciliation import Figure, Reconciliation, reconcile
from warehouse.analysis.remarks import Remark
from warehouse.analysis.reporting import ReportingFacts, reporting_facts
from warehouse.analysis.returns import NetEstimate, Returns, made_up_by_buyers, net_by_buyers, net_by_purchases
from warehouse.analysis.sales_incidents import detect_sales

__all__ = [
    "AnalysisError",
    "AttemptsEstimate",
    "Availability",
    "Figure",
    "FrameError",
    "HistoryError",
    "LaunchScenario",
    "LongWindowError",
    "LossEstimate",
    "NetEstimate",
    "Reconciliation",
    "Remark",
    "ReportingFacts",
    "Returns",
    "Share",
    "Unseen",
    "Usual",
    "availability",
    "day_types",
    "detect",
    "detect_sales",
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
    "reporting_facts",
    "usual_day",
    "with_unseen",
]
