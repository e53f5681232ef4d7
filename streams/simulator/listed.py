"""The markets of a list in CSV as the country."""

import re
from pathlib import Path

import numpy as np
import polars as pl

from streams.markets import MarketListError, read_markets
from streams.simulator.chance import draws
from streams.simulator.invented import sizes
from streams.simulator.places import Region, regions
from streams.simulator.scenario import Scenario, ScenarioError

_PLAIN_ID = re.compile(r"[\w.\-]{1,58}")


def listed(scenario: Scenario) -> pl.DataFrame:
    """The markets of the scenario's list, columns as in ``country``; latitude, longitude and cycle may be null.

    Regions take their known share of the nation's sales (an unknown region that of its markets), markets a heavy-tailed one of their region's.

    Raises:
        ScenarioError: the file is no market list, or holds ids that cannot be used.
    """
    try:
        found = [market for market in read_markets(Path(str(scenario.country.file))).markets if market.market_id]
    except MarketListError as error:
        raise ScenarioError(f"country.file: {error}") from None
    if bad := [market.market_id for market in found if not _PLAIN_ID.fullmatch(market.market_id)]:
        raise ScenarioError(f"country.file: expected market_id of 1-58 letters, digits, dots, dashes; got {', '.join(bad[:3])}")
    if not found:
        raise ScenarioError(f"country.file: expected at least one market in {scenario.country.file}, got none")
    found.sort(key=lambda market: market.market_id)
    rng = draws(scenario.seed, "country")
    known = {region.name: region for region in regions()}
    region_at = np.array([market.region for market in found])
    size = np.empty(len(found))
    for name in sorted(set(region_at.tolist())):
        of_region = region_at == name
        count = int(of_region.sum())
        region = known.get(name) or Region(name=name, sales=count / len(found), markets=0, cycle=0, districts=())
        size[of_region] = sizes(region, count, rng)
    share = scenario.demand.card_share
    frame = pl.DataFrame(
        {
            "market_id": [market.market_id for market in found],
            "name": [market.name for market in found],
            "region": [market.region for market in found],
            "district": pl.Series([market.district for market in found], dtype=pl.String),
            "latitude": pl.Series([market.latitude for market in found], dtype=pl.Float64),
            "longitude": pl.Series([market.longitude for market in found], dtype=pl.Float64),
            "cycle": pl.Series([market.cycle for market in found], dtype=pl.String),
            "merchants": [min(9999, max(3, market.merchants or scenario.country.merchants)) for market in found],
        }
    )
    return frame.with_columns(share=pl.Series(size / size.sum()), card_share=pl.Series(rng.beta(20 * share, 20 * (1 - share), len(found))))
