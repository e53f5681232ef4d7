"""Names of regions, markets, channels, issuers and services: which are known, and which are near to one that is not."""

from collections.abc import Mapping
from difflib import get_close_matches

from warehouse.reading import Snapshot

KINDS = ("region", "market", "channel", "issuer", "service")
NEAR = 5
"""How many near names are told at the most."""

MOST_LISTED = 30


def known_names(snapshot: Snapshot, kind: str) -> dict[str, str]:
    """Every known name of a kind of ``KINDS``, in order; a market's id with its own name and place, which are empty where it is in no list."""
    return dict(snapshot.query("names_known", kind=kind).rows())


def near_names(name: str, known: Mapping[str, str]) -> list[str]:
    """Names that ``name`` may have meant: those that hold it or the label of which does, else those spelled much like it."""
    meant = name.replace(" ", "").lower()
    holding = [one for one, label in known.items() if meant in f"{one} {label}".replace(" ", "").lower()]
    return (holding or get_close_matches(name, known, NEAR))[:NEAR]


def unknown(snapshot: Snapshot, kind: str, name: str, elsewhere: str) -> str | None:
    """What to say where nothing can be found under a name, with those that may be meant; None where it is known. ``elsewhere`` tells where a long list of names is."""
    known = known_names(snapshot, kind)
    if name in known or name == "unknown" or snapshot.query("name_is_counted", scope=kind, scope_name=name).item():
        return None
    near = [f"{one} ({known[one]})" if known[one] else one for one in near_names(name, known)]
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    listed = "none" if not known else ", ".join(known) if len(known) <= MOST_LISTED else f"{len(known):,}, which {elsewhere} lists"
    return f"there is no {kind} {name!r}.{meant} Known: {listed}."
