"""The notification of an alert for on-call tools: the JSON that Alertmanager posts to a webhook, version 4.

Each notification carries one alert. A tool recognises an alert, and its end, by ``groupKey`` and ``fingerprint``, which
stay the same for the alert's life; the label ``tier`` may rise within it, and ``category`` may change.
Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from detectors.alerts.lifecycle import TERMINAL
from detectors.area.settings import Stream
from detectors.scan.significance import TIERS, Tier
from streams.messages.alert import AlertFeature, AlertProperties
from streams.messages.explanation import paragraph

ALERT_NAME = "HotspotAlert"
SEVERITY = {Tier.WATCH: "info", Tier.ADVISORY: "info", Tier.ALERT: "warning", Tier.URGENT: "critical"}
NOT_ENDED = datetime(1, 1, 1, tzinfo=UTC)
"""End of an alert that has not ended, as Alertmanager writes it."""

Status = Literal["firing", "resolved"]


class NotifiedAlert(msgspec.Struct, frozen=True, kw_only=True, rename={"generator_url": "generatorURL"}):
    """One alert of a notification."""

    status: Status
    labels: Annotated[dict[str, str], Meta(description="alertname, area, category, tier, severity, exercise, alert_id")]
    annotations: Annotated[dict[str, str], Meta(description="summary, description, notice; link, found_late")]
    starts_at: Annotated[datetime, Meta(tz=True, description="tick at which the alert was opened")] = msgspec.field(
        name="startsAt"
    )
    ends_at: Annotated[datetime, Meta(tz=True, description="tick at which it ended; the year 1 until then")] = (
        msgspec.field(name="endsAt")
    )
    generator_url: Annotated[str, Meta(description="address of the alert in the console; empty if unknown")]
    fingerprint: Annotated[str, Meta(description="first half of the alert's id")]


class Notification(msgspec.Struct, frozen=True, kw_only=True, rename={"external_url": "externalURL"}):
    """The body of one post: an alert that begins or changes, or its end."""

    version: Literal["4"] = "4"
    group_key: Annotated[str, Meta(description="the same in all notifications of an alert")] = msgspec.field(
        name="groupKey"
    )
    truncated_alerts: Annotated[int, Meta(ge=0)] = msgspec.field(name="truncatedAlerts", default=0)
    status: Status
    receiver: str
    group_labels: dict[str, str] = msgspec.field(name="groupLabels")
    common_labels: dict[str, str] = msgspec.field(name="commonLabels")
    common_annotations: dict[str, str] = msgspec.field(name="commonAnnotations")
    external_url: Annotated[str, Meta(description="address of the console; empty if unknown")]
    alerts: tuple[NotifiedAlert, ...]

    def encode(self) -> bytes:
        """Return the body, JSON."""
        return msgspec.json.encode(self)


def is_notified(alert: AlertProperties, from_tier: Tier) -> bool:
    """Return whether on-call tools are notified of a revision: it has a notice or is the end, and its tier is enough.

    ``tier`` is the highest tier that the alert reached. So the last revision alone shows whether tools can know the
    alert.
    """
    return TIERS.index(alert.tier) >= TIERS.index(from_tier) and (alert.state in TERMINAL or bool(alert.notice))


def notification(
    feature: AlertFeature, receiver: str, console_url: str = "", *, found_late: bool = False
) -> Notification:
    """Return the notification of a revision; ``console_url``: address of the console; empty without one."""
    alert = feature.properties
    status: Status = "resolved" if alert.state in TERMINAL else "firing"
    group = {"alert_id": alert.id, "alertname": ALERT_NAME, "area": alert.area}
    labels = group | {
        "category": alert.category,
        "exercise": "true" if alert.status == "exercise" else "false",
        "severity": SEVERITY[alert.tier],
        "tier": alert.tier,
    }
    console_url = console_url.rstrip("/")
    link = f"{console_url}/?alert={alert.id}" if console_url else ""
    late = {"found_late": "true"} if found_late else {}
    summary = f"Found late: {_summary(alert)}" if found_late else _summary(alert)
    annotations = late | {"summary": summary, "description": paragraph(feature), "notice": alert.notice.value}
    if link:
        annotations["link"] = link
    notified = NotifiedAlert(
        status=status,
        labels=labels,
        annotations=annotations,
        starts_at=alert.opened_at,
        ends_at=alert.ended_at if isinstance(alert.ended_at, datetime) else NOT_ENDED,
        generator_url=link,
        fingerprint=alert.id[:16],
    )
    return Notification(
        group_key="{}:{" + ", ".join(f'{name}="{value}"' for name, value in group.items()) + "}",
        status=status,
        receiver=receiver,
        group_labels=group,
        common_labels=labels,
        common_annotations=annotations,
        external_url=console_url,
        alerts=(notified,),
    )


def _summary(alert: AlertProperties) -> str:
    exercise = "Exercise: " if alert.status == "exercise" else ""
    kind = "events" if alert.category is Stream.ALL else f"{alert.category} events"
    usual = f"{alert.expected:.2g} usual" if alert.expected < 99.5 else f"{alert.expected:.0f} usual"
    return f"{exercise}{alert.area}: {alert.observed} {kind}, {usual} ({alert.state.value}, {alert.tier})"
