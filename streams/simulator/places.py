"""Korea's regions and their districts, from ``places.toml``."""

from functools import lru_cache
from importlib import resources

import msgspec

from streams.simulator.parts import Part


class Region(Part, frozen=True):
    """A region of ``places.toml``: shares of the nation, the share of markets on a cycle, districts with a point of each."""

    name: str
    sales: float
    markets: float
    cycle: float
    districts: tuple[tuple[str, float, float], ...]


class _Places(Part, frozen=True):
    region: tuple[Region, ...]


@lru_cache(maxsize=1)
def regions() -> tuple[Region, ...]:
    """Korea's 17 regions."""
    return msgspec.toml.decode(resources.files("streams.simulator").joinpath("places.toml").read_bytes(), type=_Places).region
