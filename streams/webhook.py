"""The webhook: each alert is sent as signed JSON until the receiver accepts it.

Signed as in Standard Webhooks 1.0 (standardwebhooks.com): ``webhook-id`` is the same in every try, ``webhook-timestamp`` is that of
the try, and ``webhook-signature`` is ``v1,`` and the base64 of HMAC-SHA256 over id.timestamp.body.
"""

import base64
import hashlib
import hmac
import logging
import random
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp

from streams.line import Line
from streams.settings import Settings
from warehouse import alerts
from warehouse.alerts import Alert
from warehouse.ingest import Writer

log = logging.getLogger(__name__)

MINUTE = timedelta(minutes=1)
LONGEST_RETRY_AFTER = 3600


def signature(secret: str, alert_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``. ``secret`` is text, or ``whsec_`` and the base64 of bytes."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = f"{alert_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def asked_pause(retry_after: str, now: datetime) -> timedelta:
    """How long a receiver asks to be left alone: seconds or a date (RFC 9110, section 10.2.3), an hour at most; nothing where it says neither. ``now`` is aware."""
    try:
        if retry_after.isdecimal():
            # No int: Python refuses a number of thousands of digits.
            seconds = float(retry_after)
        else:
            until = parsedate_to_datetime(retry_after)
            seconds = ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return timedelta(0)
    return timedelta(seconds=min(max(seconds, 0), LONGEST_RETRY_AFTER))


class Webhook:
    """Sends what is queued in the warehouse, at most ``alert_per_minute`` tries a minute. Only its waiting is on the event loop: a slow receiver holds up nothing else."""

    def __init__(self, settings: Settings, writer: Writer, line: Line, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        if settings.alert_url is None or settings.alert_secret is None:
            raise ValueError("A webhook needs ONNURI_ALERT_URL and ONNURI_ALERT_SECRET.")
        self.url, self.secret = settings.alert_url, settings.alert_secret.get_secret_value()
        self.timeout = aiohttp.ClientTimeout(total=settings.alert_timeout_seconds)
        self.per_minute = settings.alert_per_minute
        self.writer, self.line, self.now = writer, line, now
        self.tried: deque[datetime] = deque()

    async def once(self) -> bool:
        """Try the next alert that is due; returns whether there was one and the rate allowed it."""
        now = self.now()
        while self.tried and self.tried[0] <= now - MINUTE:
            self.tried.popleft()
        if len(self.tried) >= self.per_minute:
            return False
        alert = await self.line.retried(lambda: self.line.on_database(alerts.due, self.writer.connection, now))
        if alert is None:
            return False
        self.tried.append(now)
        failure, after = await self._send(alert)
        if failure is None:
            await self.line.retried(lambda: self.line.on_database(self._accepted, alert))
        else:
            wait = max(alerts.pause(alert.tries, random.random()), after)  # noqa: S311 - no secret, only spread
            log.warning("Alert %s was not accepted (%s); the next try comes in %.0f s", alert.alert_id, failure, wait.total_seconds())
            await self.line.retried(lambda: self.line.on_database(self._refused, alert, failure, wait))
        return True

    def _accepted(self, alert: Alert) -> None:
        alerts.accepted(self.writer.connection, alert)

    def _refused(self, alert: Alert, failure: str, wait: timedelta) -> None:
        alerts.refused(self.writer.connection, alert, self.now(), failure, wait)

    async def _send(self, alert: Alert) -> tuple[str | None, timedelta]:
        """Why the alert was not accepted, None if it was; and how long the receiver asks to be left alone."""
        body, timestamp = alert.body.encode(), int(self.now().timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": "onnuri",
            "webhook-id": alert.alert_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self.secret, alert.alert_id, timestamp, body),
        }
        try:
            # A redirect would take a signed body to where nobody said it should go.
            async with (
                aiohttp.ClientSession(timeout=self.timeout) as session,
                session.post(self.url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                after = asked_pause(answer.headers.get("retry-after", ""), self.now())
                return (None, after) if 200 <= answer.status < 300 else (f"status {answer.status}", after)
        # A name that is none in DNS is a ValueError.
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}", timedelta(0)
