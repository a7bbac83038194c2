"""Routes for alerts: the list, one alert with everything about it, its revisions, and the shift list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from detectors.alerts.lifecycle import TERMINAL
from detectors.scan.significance import TIERS
from streams.console.api.queries import AlertId, AlertQuery, ShiftQuery, chosen
from streams.console.api.session import Served, Viewer
from streams.console.console import Console
from streams.console.data.store import Change
from streams.console.ground.cells import outlines
from streams.console.models import Card, Json, Shift, ShownAlerts, documented
from streams.messages.explanation import paragraph

NO_SIGN_IN, NO_ALERT, NO_AREA = "not signed in", "there is no such alert", "there is no such area"
NO_REDIS = "Redis is unavailable"

router = APIRouter(prefix="/api")


def collection(served: Console, changes: Iterable[Change]) -> dict[str, Any]:
    """Return revisions as a GeoJSON FeatureCollection."""
    return {"type": "FeatureCollection", "features": [served.shown(change) for change in changes]}


async def found(served: Console, alert: str) -> Change:
    """Return the latest revision of an alert; 404 if there is none."""
    change = await served.store.find(alert)
    if change is None:
        raise HTTPException(404, NO_ALERT)
    return change


async def latest_changes(served: Console, area: str, since_s: float = float("-inf")) -> dict[str, list[Change]]:
    """Return the changes since a tick by alert, latest first. The alert that changed last comes first."""
    changes: dict[str, list[Change]] = {}
    async for change in served.store.changes(area, since_s):
        changes.setdefault(change.alert.id, []).append(change)
    return changes


@router.get(
    "/alerts", response_class=Json, responses=documented(ShownAlerts, 200, _401=NO_SIGN_IN, _404=NO_AREA, _503=NO_REDIS)
)
async def alerts(served: Served, _: Viewer, query: Annotated[AlertQuery, Query()]) -> Any:
    """Return alerts in their latest revision: open alerts, highest tier first, then ended alerts, latest first.

    Ended alerts come from an area's last 5,000 changes.
    """
    matching: list[Change] = []
    for area in chosen(query.area, served.store.areas):
        changes = {change.alert.id: change for change in await served.store.open_alerts(area)}
        if query.since is not None or set(query.state) & set(TERMINAL):
            since_s = query.since.timestamp() if query.since is not None else float("-inf")
            changed = await latest_changes(served, area, since_s)
            changes = {alert: latest for alert, (latest, *_) in changed.items()} | changes
        matching.extend(filter(query.matches, changes.values()))
    matching.sort(key=_urgency)
    return Json(collection(served, matching[: query.limit]))


def _urgency(change: Change) -> tuple[bool, int, float, float]:
    alert = change.alert.properties
    if alert.state in TERMINAL:
        return True, 0, -alert.tick_s, 0.0
    return False, -TIERS.index(alert.tier), -alert.recurrence_interval_days, -alert.score


@router.get(
    "/alerts/{alert}",
    response_class=Json,
    responses=documented(Card, 200, _401=NO_SIGN_IN, _404=NO_ALERT, _503=NO_REDIS),
)
async def card(served: Served, _: Viewer, alert: AlertId) -> Any:
    """Return one alert with everything about it."""
    change = await found(served, alert)
    shown, properties = served.shown(change), change.alert.properties
    related = {each for each in (properties.split_from, properties.merged_into) if isinstance(each, str)}
    for other in await served.store.open_alerts(change.area):
        if not set(properties.members).isdisjoint(other.alert.properties.members):
            related.add(other.alert.id)
    return Json(
        {
            "alert": shown,
            "explanation": paragraph(change.alert, shown["properties"].get("place", "")),
            "cells": outlines(properties.cells, served.places[change.area]),
            "related": sorted(related - {alert}),
        }
    )


@router.get(
    "/alerts/{alert}/revisions",
    response_class=Json,
    responses=documented(ShownAlerts, 200, _401=NO_SIGN_IN, _404=NO_ALERT, _503=NO_REDIS),
)
async def revisions(served: Served, _: Viewer, alert: AlertId) -> Any:
    """Return every revision of an alert, the oldest first."""
    change = await found(served, alert)
    return Json(collection(served, await served.store.revisions(change, alert)))


@router.get(
    "/shift", response_class=Json, responses=documented(Shift, 200, _401=NO_SIGN_IN, _404=NO_AREA, _503=NO_REDIS)
)
async def shift(served: Served, _: Viewer, query: Annotated[ShiftQuery, Query()]) -> Any:
    """Return what opened, changed and ended since a time, in the latest revision, from an area's last 5,000 changes."""
    groups: dict[str, list[Any]] = {"opened": [], "changed": [], "ended": []}
    for area in chosen(query.area, served.store.areas):
        for changes in (await latest_changes(served, area, query.since.timestamp())).values():
            shown = served.shown(changes[0])
            is_new = changes[-1].alert.properties.revision == 1
            is_over = changes[0].alert.properties.state in TERMINAL
            for group, belongs in {"opened": is_new, "ended": is_over, "changed": not (is_new or is_over)}.items():
                if belongs:
                    groups[group].append(shown)
    return Json({"since": query.since, **groups})
