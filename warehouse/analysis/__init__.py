"""Expected sales, losses and incidents: pure functions, frames in, frames out. No clock, no database, no Kafka."""

from warehouse.analysis.availability import Availability, availability
from warehouse.analysis.baseline import expected_sales
from warehouse.analysis.calendar import day_types
from warehouse.analysis.counts import Usual, expected_counts, usual_day
from warehouse.analysis.errors import AnalysisError, FrameError, HistoryError
from warehouse.analysis.incidents import detect
from warehouse.analysis.loss import LossEstimate, estimate_loss
from warehouse.analysis.net import Share, made_up_share, merchants_loss, net_shortfall
from warehouse.analysis.remarks import Remark
from warehouse.analysis.reporting import ReportingFacts, reporting_facts
from warehouse.analysis.sales_incidents import detect_sales

__all__ = [
    "AnalysisError",
    "Availability",
    "FrameError",
    "HistoryError",
    "LossEstimate",
    "Remark",
    "ReportingFacts",
    "Share",
    "Usual",
    "availability",
    "day_types",
    "detect",
    "detect_sales",
    "estimate_loss",
    "expected_counts",
    "expected_sales",
    "made_up_share",
    "merchants_loss",
    "net_shortfall",
    "reporting_facts",
    "usual_day",
]
