"""How one gets in to the brokers: TLS, a user with a password, a certificate of one's own. And secrets that are kept in files.

Here, because both streams and dashboard send to Kafka, and neither imports the other.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


class AccessError(ValueError):
    """A secret, a certificate or a key cannot be used; the message says which setting, what came, what to do."""


class BrokerRefusedError(Exception):
    """The brokers are there and refuse: trying again would not help, a setting or a right must change."""


@dataclass(frozen=True)
class Access:
    """How to get in. ``security`` is Kafka's ``security.protocol``; ``mechanism`` its ``sasl.mechanism``.

    ``ca`` is a PEM file of the authorities that vouch for the brokers, by default those of the system; ``certificate`` and ``key`` are the
    client's own, in PEM too (one file may hold both).
    """

    security: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: str = field(default="", repr=False)

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """The settings ``ONNURI_KAFKA_…`` of an environment; ``streams.settings`` checks them.

        Raises:
            AccessError: a secret's file cannot be read.
        """

        def path(name: str) -> Path | None:
            return Path(environment[name]) if environment.get(name) else None

        return cls(
            security=environment.get("ONNURI_KAFKA_SECURITY") or cls.security,
            mechanism=environment.get("ONNURI_KAFKA_MECHANISM") or cls.mechanism,
            user=environment.get("ONNURI_KAFKA_USER", ""),
            password=secret(environment, "ONNURI_KAFKA_PASSWORD"),
            ca=path("ONNURI_KAFKA_CA"),
            certificate=path("ONNURI_KAFKA_CERTIFICATE"),
            key=path("ONNURI_KAFKA_KEY"),
            key_password=secret(environment, "ONNURI_KAFKA_KEY_PASSWORD"),
        )

    def arguments(self) -> dict[str, Any]:
        """What kafka-python's and aiokafka's clients take, which have the same names for it.

        Raises:
            AccessError: a certificate or a key cannot be used.
        """
        if self.security == "PLAINTEXT":
            return {}
        given = {"security_protocol": self.security, "ssl_context": self.context()}
        if self.security == "SASL_SSL":
            given |= {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.user, "sasl_plain_password": self.password}
        return given

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer; the broker's certificate and the name in it are always checked.

        Raises:
            AccessError: a certificate or a key cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise AccessError(f"ONNURI_KAFKA_CA is {self.ca}: {_why(error)}. Expected is a file of certificates in PEM.") from None
        if self.certificate is not None:
            try:
                # Without a password OpenSSL would ask for one on the terminal.
                context.load_cert_chain(self.certificate, self.key, password=self.key_password)
            except (OSError, ValueError) as error:
                raise AccessError(
                    f"ONNURI_KAFKA_CERTIFICATE is {self.certificate}, ONNURI_KAFKA_KEY {self.key or 'not set'}: {_why(error)}. Expected are a certificate and its "
                    "own key in PEM, in one file or two; for a key that is locked, ONNURI_KAFKA_KEY_PASSWORD_FILE."
                ) from None
        return context


PLAIN = Access()
"""Neither TLS nor a password: for a broker on this machine."""


def secret(environment: Mapping[str, str], name: str) -> str:
    """The secret ``name``: the variable's value, or what is in the file that ``<name>_FILE`` names; empty without either.

    Raises:
        AccessError: the file cannot be read, is empty, or says something else than the variable.
    """
    value, file = environment.get(name, ""), environment.get(f"{name}_FILE", "")
    return from_file(name, Path(file), value) if file else value


def from_file(name: str, file: Path, value: str = "") -> str:
    """The secret in ``file``, without the line's end after it; a ``value`` that is given too must be the same.

    Raises:
        AccessError: see ``secret``.
    """
    try:
        found = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise AccessError(f"{name}_FILE is {file}: {_why(error)}. Name a file that holds the secret and nothing else.") from None
    if not found:
        raise AccessError(f"{name}_FILE is {file}, which is empty. Name a file that holds the secret and nothing else.")
    if value and value != found:
        raise AccessError(f"{name} is set, and {file} says something else. Set {name}_FILE alone.")
    return found


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"OpenSSL cannot read it ({error.reason or error})"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
