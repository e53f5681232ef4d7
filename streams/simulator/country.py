"""The country: markets in regions and districts, those of a list or invented but plausible ones, the same for the same seed."""

import polars as pl

from streams.simulator.invented import invented
from streams.simulator.listed import listed
from streams.simulator.neighbours import nearest
from streams.simulator.scenario import Scenario


def country(scenario: Scenario) -> pl.DataFrame:
    """The scenario's markets, one row each, in the order of ``market_id``.

    Columns: market_id, name, region, district, latitude, longitude (degrees), cycle (last digits such as ``2,7``; null: open daily),
    merchants, share (of the nation's sales on an average day), card_share (of the market's purchases), neighbour (row of the nearest other market
    within walking distance, -1: none).
    """
    markets = listed(scenario) if scenario.country.file else invented(scenario)
    return markets.with_columns(neighbour=pl.Series(nearest(markets)))
