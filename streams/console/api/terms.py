"""``GET /static/terms.js``: tiers, states and other terms of alerts with their words, as a script for the page."""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Response

from detectors.alerts.lifecycle import TERMINAL
from streams.messages import wording
from streams.redis_copy.keys import SPEAKING_TIERS

TERMS = {
    "tiers": wording.TIERS,
    "speaking": SPEAKING_TIERS,
    "streams": wording.STREAMS,
    "states": wording.STATES,
    "terminal": TERMINAL,
    "reasons": wording.REASONS,
    "notices": wording.NOTICES,
    "material": wording.MATERIAL,
    "responses": {action: terms._asdict() for action, terms in wording.RESPONSES.items()},
    "outcomes": wording.OUTCOMES,
    "artefacts": wording.ARTEFACTS,
    "feeds": {state: words._asdict() for state, words in wording.FEEDS.items()},
}
SCRIPT = b"export default " + msgspec.json.encode(TERMS) + b";\n"
ETAG = f'"{hashlib.sha256(SCRIPT).hexdigest()[:16]}"'

router = APIRouter()


@router.get("/static/terms.js", include_in_schema=False)
def terms(if_none_match: Annotated[str, Header()] = "") -> Response:
    """Return the script; 304 if the browser has it."""
    headers = {"ETag": ETAG}
    if ETAG in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(SCRIPT, media_type="text/javascript", headers=headers)
