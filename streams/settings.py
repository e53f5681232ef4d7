"""Every setting, read once at the door and an argument everywhere else. ``onnuri doctor`` lists them."""

import base64
import binascii
import difflib
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from warehouse.access import Access, from_file
from warehouse.backup import key_of
from warehouse.lake import PREFIX, Lake

SECRETS = ("kafka_password", "kafka_key_password", "user_key", "alert_secret", "api_token")
"""Settings that may be kept in a file, which ``ONNURI_<NAME>_FILE`` names."""

CENTURY_DAYS = 36_500
"""The longest span that a setting may name: what lies so far from today is still in the calendar."""

LEAST_KEY_BYTES = 32
"""A key of HMAC-SHA-256 is to be no shorter than its digest (RFC 2104, section 3)."""


FOR_TESTS = ("ONNURI_TEST_", "ONNURI_DATA")
"""How names begin that the tests read."""


class SettingError(Exception):
    """A setting cannot be used; the message says what was expected, what came, what to do."""


class Settings(BaseSettings):
    """Settings from the environment, each as ``ONNURI_<NAME>``; one that is set to nothing is as one that is not set."""

    model_config = SettingsConfigDict(env_prefix="ONNURI_", env_ignore_empty=True, extra="ignore", frozen=True, allow_inf_nan=False)

    kafka: str = Field("", description="Kafka brokers, host:port with commas between. Empty: an embedded one where a command offers it.")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are spoken to. SSL: TLS, with a certificate of one's own where they ask for it; SASL_SSL: TLS, user and password."
    )
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field("SCRAM-SHA-512", description="How the password is proved with SASL_SSL.")
    kafka_user: str = Field("", description="User with SASL_SSL.")
    kafka_password: SecretStr | None = Field(None, description="Its password.")
    kafka_password_file: Path | None = Field(None, description="File that holds it instead.")
    kafka_ca: Path | None = Field(None, description="PEM file of the authorities that vouch for the brokers. Default: the system's.")
    kafka_certificate: Path | None = Field(None, description="PEM file of the client's own certificate, where brokers ask for one.")
    kafka_key: Path | None = Field(None, description="PEM file of its key. Default: the certificate's file.")
    kafka_key_password: SecretStr | None = Field(None, description="Password of that key, where it is locked.")
    kafka_key_password_file: Path | None = Field(None, description="File that holds it instead.")
    warehouse: Path = Field(
        Path("data/onnuri.duckdb"),
        description="The DuckDB file of the one writer; or a lake that several share: ducklake:postgres:DSN or ducklake:sqlite:PATH.",
    )
    lake_data: str = Field("", description="Folder, or s3:// address, of a lake's Parquet files; every worker must reach it. Only with a lake.")
    lake_days: float = Field(
        7, gt=0, le=CENTURY_DAYS, description="Days for which a lake keeps the last snapshot of each hour; those that issued reports name stay longer."
    )
    published: Path | None = Field(
        None, description="Folder of published Parquet files. Default: 'published' beside the warehouse. Who only reads may name a lake instead: ducklake:…"
    )
    user_key: SecretStr | None = Field(None, description="Key of the HMAC of user ids. Default: a random one kept beside the warehouse, mode 600.")
    user_key_file: Path | None = Field(None, description="File that holds it instead.")
    user_key_after: str = Field("", description="Fingerprint of the key that buyers were hidden with so far, where another follows it on purpose.")
    topic_prefix: str = Field("", description="Put before every topic's name, so that several lines share a cluster.")
    partitions: int = Field(8, ge=1, le=1000, description="Partitions of the topics that onnuri creates where they are missing.")
    clock: Literal["wall", "replay"] = Field("wall", description="'wall' for live data; 'replay' follows the topic 'clock' of a scenario.")
    lateness_seconds: float = Field(
        60, ge=0, le=CENTURY_DAYS * 86_400, description="How much later than its minute an event may come before the minute closes."
    )
    raw_days: int = Field(35, ge=1, le=CENTURY_DAYS, description="Days for which single events are kept; older events are refused as too_old.")
    refused_share: float = Field(
        0.5, ge=0, le=1, description="Share of a topic's newest thousand records above which refusals stop the worker. 1: never, all go to dead-letters."
    )
    accept_loss: bool = Field(default=False, description="Start a restored warehouse although Kafka no longer holds all that came since its backup.")
    batch_rows: int = Field(150_000, ge=1, description="A batch closes at this many records ...")
    batch_seconds: float = Field(1.0, gt=0, description="... or after this many seconds.")
    publish_seconds: float = Field(1.0, gt=0, description="Seconds between two published states at the least.")
    web_host: str = Field("127.0.0.1", description="Address of the worker's /health and /metrics.")
    web_port: int = Field(6066, ge=0, le=65535, description="Port of the worker's /health and /metrics.")
    alert_url: str | None = Field(None, description="Where alerts about incidents are posted. Default: nowhere.")
    alert_secret: SecretStr | None = Field(None, description="Key that signs alerts (16 characters or more, or whsec_ and base64). Needed with an alert_url.")
    alert_secret_file: Path | None = Field(None, description="File that holds it instead.")
    alert_per_minute: int = Field(30, ge=1, le=10_000, description="Most tries a minute to post alerts.")
    alert_timeout_seconds: float = Field(10, gt=0, le=600, description="How long the receiver of an alert may take to answer.")
    subscribers: int = Field(
        1_000_000, ge=0, description="Subscribers of the platform: from 10,000 on, an outage of 10 minutes must be reported, below one of 30."
    )
    dashboard_host: str = Field("127.0.0.1", description="Address of the dashboard.")
    dashboard_port: int = Field(8501, ge=0, le=65535, description="Port of the dashboard.")
    analysts: str = Field("", description="Where people sign in to the dashboard: addresses of those who may enter something, with commas between.")
    viewers: str = Field("", description="Addresses of those who may only look, likewise; @ and a domain for all of it, * for all who sign in.")
    audit_log: Path | None = Field(None, description="File in which the dashboard keeps who saw or took away what, a line of JSON each. Default: none.")
    report_files: Path | None = Field(None, description="Folder of what the author of reports keeps: causes, measures, moments, rules for compensation.")
    api_hosts: str = Field("", description="Names by which programs reach the dashboard's API besides localhost and its address, a comma between them.")
    api_token: SecretStr | None = Field(
        None, description="Token that the dashboard's HTTP API asks for. Default: none is asked, but where people sign in it is closed."
    )
    api_token_file: Path | None = Field(None, description="File that holds it instead.")
    public_status: bool = Field(
        default=False, description="Whether the dashboard's status page and /api/v1/status are for everybody, without sign-in or token."
    )
    language: Literal["ko", "en"] = Field("ko", description="Language that the dashboard starts in.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged.")
    log_format: Literal["text", "json"] = Field("text", description="Form of the worker's log: lines for people, or a JSON object a line.")

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for name in SECRETS:
            if file := given.get(f"{name}_file"):
                value = given.get(name) or ""
                found[name] = from_file(f"ONNURI_{name.upper()}", Path(file), value.get_secret_value() if isinstance(value, SecretStr) else value)
        return {**given, **found}

    @field_validator("kafka")
    @classmethod
    def _brokers(cls, value: str) -> str:
        brokers = [broker.strip() for broker in value.split(",") if broker.strip()]
        for broker in brokers:
            host, _, port = broker.rpartition(":")
            if not host or not re.fullmatch(r"\d{1,5}", port) or not 0 < int(port) < 65536:
                raise ValueError(f"{broker!r} is not host:port with a port of 1-65535. Example: ONNURI_KAFKA=127.0.0.1:9092")
        return ",".join(brokers)

    @field_validator("topic_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]{0,200}", value):
            raise ValueError(
                f"{value!r} has what Kafka's topics may not: at most 200 of A-Z, a-z, 0-9, '.', '_' and '-'. Example: ONNURI_TOPIC_PREFIX=platform."
            )
        return value

    @field_validator("alert_url")
    @classmethod
    def _alert_url(cls, value: str | None) -> str | None:
        if value is None or value == "":
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http:// or https:// and a host. Example: ONNURI_ALERT_URL=https://ops.example.org/onnuri")
        # Asked for because it raises: a port that is none is found only then.
        _ = parts.port
        try:
            parts.hostname.encode("idna")
        except UnicodeError:
            raise ValueError(f"{parts.hostname!r} is no host: each part between its dots needs 1 to 63 characters") from None
        return value

    @field_validator("alert_secret")
    @classmethod
    def _alert_secret(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value else ""
        if not text:
            return None
        if text.startswith("whsec_"):
            try:
                base64.b64decode(text.removeprefix("whsec_"), validate=True)
            except binascii.Error:
                raise ValueError("after whsec_ base64 is expected. Make one with: openssl rand -base64 32") from None
        if len(text) < 16:
            raise ValueError("expected 16 characters or more. Make one with: openssl rand -base64 32")
        return value

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if self.alert_url and self.alert_secret is None:
            raise ValueError("ONNURI_ALERT_URL is set, ONNURI_ALERT_SECRET is not: alerts are always signed. Make a key with: openssl rand -base64 32")
        return self

    @model_validator(mode="after")
    def _admitted(self) -> Self:
        if self.kafka_security == "SASL_SSL" and not (self.kafka_user and self.kafka_password):
            raise ValueError("ONNURI_KAFKA_SECURITY is SASL_SSL, which needs ONNURI_KAFKA_USER and ONNURI_KAFKA_PASSWORD_FILE (or ONNURI_KAFKA_PASSWORD).")
        # What is set and not used would leave somebody believing in it.
        sasl, tls = ("kafka_user", "kafka_password"), ("kafka_ca", "kafka_certificate", "kafka_key")
        idle = {"PLAINTEXT": (*sasl, *tls), "SSL": sasl, "SASL_SSL": ()}[self.kafka_security]
        if unused := [f"ONNURI_{name.upper()}" for name in idle if getattr(self, name)]:
            wanted = "SSL or SASL_SSL" if unused[0] not in ("ONNURI_KAFKA_USER", "ONNURI_KAFKA_PASSWORD") else "SASL_SSL"
            raise ValueError(
                f"ONNURI_KAFKA_SECURITY is {self.kafka_security}, where {', '.join(unused)} would do nothing. Set it to {wanted}, or leave them out."
            )
        if self.kafka_key and not self.kafka_certificate:
            raise ValueError("ONNURI_KAFKA_KEY is set, ONNURI_KAFKA_CERTIFICATE is not: a key needs its certificate.")
        return self

    @classmethod
    def read(cls, **given: object) -> Self:
        """Read the environment; ``given`` wins over it.

        Raises:
            SettingError: a value cannot be used.
        """
        try:
            return cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            raise SettingError("\n".join(_line(e) for e in error.errors())) from None

    @field_validator("warehouse", "published")
    @classmethod
    def _address(cls, value: Path | None, about: ValidationInfo) -> Path | None:
        text = str(value)
        if not text.startswith(PREFIX):
            if value and about.field_name == "warehouse" and key_of(value) == value:
                raise ValueError("that is the name of the file beside it with the key that hides buyers. Example: ONNURI_WAREHOUSE=data/warehouse.duckdb")
            return value
        if not text.startswith((f"{PREFIX}postgres:", f"{PREFIX}sqlite:")):
            name = f"ONNURI_{(about.field_name or '').upper()}"
            raise ValueError(f"expected ducklake:postgres:… or ducklake:sqlite:…. Example: {name}='ducklake:postgres:host=db dbname=onnuri'")
        if "password" in text:
            raise ValueError("a password does not belong here, where many can read it. Expected it in a file that PGPASSFILE names")
        if text.startswith(f"{PREFIX}postgres:postgres"):
            raise ValueError("expected words as in ducklake:postgres:host=db dbname=onnuri user=onnuri, got a URI")
        return value

    @property
    def lake(self) -> Lake | None:
        """The lake, where the warehouse is one."""
        return Lake.of(self.warehouse, self.lake_data)

    @property
    def published_folder(self) -> Path:
        """Where manifest and Parquet files are."""
        return self.published or self.warehouse.parent / "published"

    @property
    def access(self) -> Access:
        """How one gets in to the brokers."""
        return Access(
            self.kafka_security,
            self.kafka_mechanism,
            self.kafka_user,
            _shown(self.kafka_password),
            self.kafka_ca,
            self.kafka_certificate,
            self.kafka_key,
            _shown(self.kafka_key_password),
        )

    def topic(self, name: str) -> str:
        """The name in Kafka of the contract's topic ``name``."""
        return self.topic_prefix + name

    def hmac_key(self) -> bytes:
        """The key that hides user ids: the setting, or a random one made once per warehouse and readable only by its owner.

        Raises:
            SettingError: the file of the random one is cut short.
            OSError: it cannot be read or written.
        """
        # An empty one is none: compose passes on what is not set.
        if self.user_key:
            return self.user_key.get_secret_value().encode()
        path = key_of(self.warehouse)
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
        if len(key) < LEAST_KEY_BYTES:
            raise SettingError(
                f"{path} holds {len(key)} bytes, expected {LEAST_KEY_BYTES} or more: a crash or a full disk has cut short the key that hides user ids. "
                "Put back the key that was copied beside a backup. Without one, remove the file."
            )
        return key


def unknown_names(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Names of an environment that look like settings and are none, and the setting that each may have meant, or nothing."""
    known = [f"ONNURI_{name.upper()}" for name in Settings.model_fields]
    given = (name for name in environment if name.startswith("ONNURI_") and not name.startswith(FOR_TESTS) and name not in known)
    return {name: next(iter(difflib.get_close_matches(name, known, 1)), "") for name in sorted(given)}


def _make_key(path: Path) -> None:
    """Put a random key there, whole or not at all; one that is there stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        # A link and no rename: it fails where another process was sooner.
        with suppress(FileExistsError):
            path.hardlink_to(part)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Or the name may be gone after a power cut, and rows be kept that it has hidden.
        os.fsync(folder)
    finally:
        os.close(folder)


def _shown(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _line(error: Any) -> str:  # noqa: ANN401  # pydantic's own
    """What is wrong with one setting; a secret is not repeated."""
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    name = str(error["loc"][0])
    hidden = name in SECRETS or str(error["input"]).startswith(PREFIX)
    came = "set" if hidden else f"{error['input']!r}"
    return f"ONNURI_{name.upper()} is {came}: {error['msg']}"
