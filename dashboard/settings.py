"""What the dashboard is told by the environment, read once at the door."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DashboardSettings:
    """Where the published states are, and the language that a page starts in."""

    published: Path
    language: str

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "DashboardSettings":
        """Read ``ONNURI_PUBLISHED``, else the folder ``published`` beside ``ONNURI_WAREHOUSE``, and ``ONNURI_LANGUAGE``."""
        warehouse = Path(environment.get("ONNURI_WAREHOUSE") or "data/onnuri.duckdb")
        published = Path(environment.get("ONNURI_PUBLISHED") or warehouse.parent / "published")
        language = environment.get("ONNURI_LANGUAGE", "ko")
        return cls(published=published, language=language if language in ("ko", "en") else "ko")
