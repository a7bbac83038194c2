"""Routes for responses. A response becomes a record of the topic ``responses``; its effect is a revision."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, HTTPException
from msgspec import UNSET, UnsetType
from pydantic import BaseModel, ConfigDict

from detectors.alerts.lifecycle import TERMINAL
from detectors.alerts.response import Action, Outcome
from streams.console.api.alerts import found
from streams.console.api.queries import AlertId
from streams.console.api.session import Identity, Operator, Served
from streams.console.console import Console
from streams.console.data.responder import NotAccepted
from streams.console.models import Json, Sent, documented
from streams.messages.response import ResponseMessage

router = APIRouter(prefix="/api/alerts/{alert}")
DOCUMENTED = documented(
    Sent,
    202,
    _401="not signed in",
    _403="not an operator, or not sent by this page",
    _404="there is no such alert",
    _409="the alert is over",
    _413="the body is too large",
    _503="Redis or Kafka is unavailable",
)


class OutcomeBody(BaseModel):
    """The outcome of an alert."""

    model_config = ConfigDict(extra="forbid")

    outcome: Outcome


@router.post("/acknowledge", status_code=202, response_class=Json, responses=DOCUMENTED)
async def acknowledge(served: Served, who: Operator, alert: AlertId) -> Any:
    """Acknowledge an alert: reminders stop, notices of escalations do not."""
    return await _send(served, who, alert, "acknowledge")


@router.post("/take", status_code=202, response_class=Json, responses=DOCUMENTED)
async def take(served: Served, who: Operator, alert: AlertId) -> Any:
    """Take an alert: the user who sends this deals with it."""
    return await _send(served, who, alert, "take")


@router.post("/outcome", status_code=202, response_class=Json, responses=DOCUMENTED)
async def outcome(served: Served, who: Operator, alert: AlertId, body: OutcomeBody) -> Any:
    """Note the outcome of an alert."""
    return await _send(served, who, alert, "outcome", body.outcome)


async def _send(
    served: Console, who: Identity, alert: str, action: Action, outcome: Outcome | UnsetType = UNSET
) -> Json:
    change = await found(served, alert)
    if change.alert.properties.state in TERMINAL:
        raise HTTPException(409, "the alert is over; people can respond to open alerts only")
    response = ResponseMessage(
        id=str(uuid.uuid4()), alert=alert, action=action, outcome=outcome, user=who.user, at=datetime.now(UTC)
    )
    try:
        await served.responder.send(change.area, response)
    except NotAccepted:
        served.metrics.response("refused")
        raise HTTPException(503, "Kafka does not accept the response at the moment, try again") from None
    served.metrics.response("accepted")
    return Json(Sent(id=response.id), 202)
