"""What operators do: each action becomes a record of the topic ``responses``, and its effect a revision."""

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
from streams.console.data.responder import NotTaken
from streams.console.models import Json, Sent, answers
from streams.messages.response import ResponseMessage

router = APIRouter(prefix="/api/alerts/{alert}")
ANSWERS = answers(
    Sent,
    202,
    _401="not signed in",
    _403="not an operator, or not sent by our page",
    _404="there is no such alert",
    _409="the alert is over",
    _413="the body is too large",
    _503="Redis or Kafka is away",
)


class OutcomeBody(BaseModel):
    """What an alert has turned out to be."""

    model_config = ConfigDict(extra="forbid")

    outcome: Outcome


@router.post("/acknowledge", status_code=202, response_class=Json, responses=ANSWERS)
async def acknowledge(served: Served, who: Operator, alert: AlertId) -> Any:
    """Say that the alert has been seen: it is not brought to mind again, but speaks when it escalates."""
    return await _send(served, who, alert, "acknowledge")


@router.post("/take", status_code=202, response_class=Json, responses=ANSWERS)
async def take(served: Served, who: Operator, alert: AlertId) -> Any:
    """Say who deals with the alert: whoever sends this."""
    return await _send(served, who, alert, "take")


@router.post("/outcome", status_code=202, response_class=Json, responses=ANSWERS)
async def outcome(served: Served, who: Operator, alert: AlertId, body: OutcomeBody) -> Any:
    """Note what the alert has turned out to be."""
    return await _send(served, who, alert, "outcome", body.outcome)


async def _send(
    served: Console, who: Identity, alert: str, action: Action, outcome: Outcome | UnsetType = UNSET
) -> Json:
    change = await found(served, alert)
    if change.glance.properties.state in TERMINAL:
        raise HTTPException(409, "the alert is over; only open ones take responses")
    response = ResponseMessage(
        id=str(uuid.uuid4()), alert=alert, action=action, outcome=outcome, user=who.user, at=datetime.now(UTC)
    )
    try:
        await served.responder.send(change.area, response)
    except NotTaken:
        served.metrics.answered("refused")
        raise HTTPException(503, "Kafka does not take it at the moment, try again") from None
    served.metrics.answered("accepted")
    return Json(Sent(id=response.id), 202)
