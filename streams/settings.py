"""Every setting, read once at the door and an argument everywhere else. ``onnuri doctor`` lists them."""

import os
import re
import secrets
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingError(Exception):
    """A setting cannot be used; the message says what was expected, what came, what to do."""


class Settings(BaseSettings):
    """Settings from the environment, each as ``ONNURI_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix="ONNURI_", extra="ignore", frozen=True)

    kafka: str = Field("", description="Kafka brokers, host:port with commas between. Empty: an embedded one where a command offers it.")
    warehouse: Path = Field(Path("data/onnuri.duckdb"), description="The DuckDB file of the one writer.")
    published: Path | None = Field(None, description="Folder of published Parquet files. Default: 'published' beside the warehouse.")
    user_key: SecretStr | None = Field(None, description="Key of the HMAC of user ids. Default: a random one kept beside the warehouse, mode 600.")
    topic_prefix: str = Field("", description="Put before every topic's name, so that several lines share a cluster.")
    partitions: int = Field(8, ge=1, le=1000, description="Partitions of the topics that onnuri creates where they are missing.")
    clock: Literal["wall", "replay"] = Field("wall", description="'wall' for live data; 'replay' follows the topic 'clock' of a scenario.")
    lateness_seconds: float = Field(60, ge=0, description="How much later than its minute an event may come before the minute closes.")
    raw_days: int = Field(35, ge=1, description="Days for which single events are kept; older events are refused as too_old.")
    batch_rows: int = Field(150_000, ge=1, description="A batch closes at this many records ...")
    batch_seconds: float = Field(0.5, gt=0, description="... or after this many seconds.")
    publish_seconds: float = Field(1.0, gt=0, description="Seconds between two published states at the least.")
    web_host: str = Field("127.0.0.1", description="Address of the worker's /health and /metrics.")
    web_port: int = Field(6066, ge=0, le=65535, description="Port of the worker's /health and /metrics.")
    dashboard_host: str = Field("127.0.0.1", description="Address of the dashboard.")
    dashboard_port: int = Field(8501, ge=0, le=65535, description="Port of the dashboard.")
    analysts: str = Field("", description="Where people sign in to the dashboard: addresses of those who may enter something, with commas between.")
    report_files: Path | None = Field(None, description="Folder of what the author of reports keeps: causes, measures, moments, rules for compensation.")
    api_token: SecretStr | None = Field(
        None, description="Token that the dashboard's HTTP API asks for. Default: none is asked, but where people sign in it is closed."
    )
    language: Literal["ko", "en"] = Field("ko", description="Language that the dashboard starts in.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged.")

    @field_validator("kafka")
    @classmethod
    def _brokers(cls, value: str) -> str:
        for broker in filter(None, value.split(",")):
            host, _, port = broker.strip().rpartition(":")
            if not host or not re.fullmatch(r"\d{1,5}", port) or not 0 < int(port) < 65536:
                raise ValueError(f"{broker.strip()!r} is not host:port with a port of 1-65535. Example: ONNURI_KAFKA=127.0.0.1:9092")
        return value

    @classmethod
    def read(cls, **given: object) -> Self:
        """Read the environment; ``given`` wins over it.

        Raises:
            SettingError: a value cannot be used.
        """
        try:
            return cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            lines = [f"ONNURI_{str(e['loc'][0]).upper()} is {e['input']!r}: {e['msg']}" for e in error.errors()]
            raise SettingError("\n".join(lines)) from None

    @property
    def published_folder(self) -> Path:
        """Where manifest and Parquet files are."""
        return self.published or self.warehouse.parent / "published"

    def topic(self, name: str) -> str:
        """The name in Kafka of the contract's topic ``name``."""
        return self.topic_prefix + name

    def hmac_key(self) -> bytes:
        """The key that hides user ids: the setting, or a random one made once per warehouse and readable only by its owner."""
        if self.user_key is not None:
            return self.user_key.get_secret_value().encode()
        path = self.warehouse.with_suffix(".key")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes()
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode())
        return path.read_bytes()
