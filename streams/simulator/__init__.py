"""The platform and its buyers, simulated: scenarios in, records and their ground truth out. Sending them is ``streams.simulator.sending``."""

from streams.simulator.commands import commands
from streams.simulator.country import country
from streams.simulator.playing import Records, Slice, estimated_events, play
from streams.simulator.rhythm import pent_up
from streams.simulator.scenario import Scenario, ScenarioError, load_scenario, shipped
from streams.simulator.tally import Tally
from streams.simulator.truth import gross_shortfall, net_shortfall, truth, write_truth

__all__ = [
    "Records",
    "Scenario",
    "ScenarioError",
    "Slice",
    "Tally",
    "commands",
    "country",
    "estimated_events",
    "gross_shortfall",
    "load_scenario",
    "net_shortfall",
    "pent_up",
    "play",
    "shipped",
    "truth",
    "write_truth",
]
