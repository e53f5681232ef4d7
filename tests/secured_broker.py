"""A Kafka with TLS and passwords, and the certificates that it and its clients show: made anew for every run."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from streams.broker import EmbeddedBroker
from streams.broker_settings import HOST, Secured
from streams.ports import free_port

PASSWORDS = {"onnuri": "pass=word of its own", "worker": "has the rights of a worker", "stranger": "has-a-password-and-no-rights"}
JAAS = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class Authority:
    """One who signs certificates."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        made = self._begun(self.name, self.key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.file.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def sign(self, name: str, *, password: bytes | None = None, address: str = HOST) -> Path:
        """One PEM file of a key and its certificate, for ``address``."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            self._begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        file = self.folder / f"{name}.pem"
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked) + made.public_bytes(serialization.Encoding.PEM)
        )
        return file

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
        )


@dataclass(frozen=True)
class SecuredKafka:
    """A running broker and how one gets in: each a dictionary of settings."""

    broker: EmbeddedBroker
    ours: Authority
    others: Authority
    sasl: str
    mutual: str

    def with_password(self, user: str = "onnuri", **changes: object) -> dict[str, object]:
        said = {"kafka": self.sasl, "kafka_security": "SASL_SSL", "kafka_user": user, "kafka_password": PASSWORDS[user], "kafka_ca": self.ours.file}
        return {**said, **changes}

    def allow(self, user: str, operation: str, kind: str, name: str, pattern: str = "LITERAL") -> None:
        """Give a right, as kafka-acls.sh does."""
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        where = ResourcePattern(ResourceType[kind], name, ACLResourcePatternType[pattern])
        answer = admin.create_acls([ACL(f"User:{user}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, where)])
        admin.close()
        assert not answer["failed"], answer

    def with_certificate(self, **changes: object) -> dict[str, object]:
        return {"kafka": self.mutual, "kafka_security": "SSL", "kafka_ca": self.ours.file, "kafka_certificate": self.ours.folder / "client.pem", **changes}


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """A Kafka that asks for a password at one port and for a certificate at another; ``worker`` and ``stranger`` may do nothing yet."""
    ours, others = Authority(folder, "ours"), Authority(folder, "others")
    server = ours.sign("server")
    ours.sign("client")
    sasl, mutual = free_port(), free_port()
    tls = {"type": "PEM", "location": str(server)}
    settings = {
        **{f"ssl.keystore.{name}": value for name, value in tls.items()},
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ours.file),
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl.scram-sha-512.sasl.jaas.config": JAAS,
        "listener.name.mutual.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:onnuri;User:CN=client",
    }
    listeners = {"SASL": ("SASL_SSL", sasl), "MUTUAL": ("SSL", mutual)}
    with EmbeddedBroker(secured=Secured(listeners, settings, PASSWORDS)) as broker:
        yield SecuredKafka(broker, ours, others, f"{HOST}:{sasl}", f"{HOST}:{mutual}")
