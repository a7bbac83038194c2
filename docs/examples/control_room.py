"""Tells a control room every change that matters, and after a crash what it had not finished telling."""

from __future__ import annotations

import json
import sys

from redis import Redis, ResponseError

url, area, consumer = sys.argv[1:]  # such as: redis://127.0.0.1:6379/0 leeds desk-1
stream, group = f"hotspots:{{{area}}}:alerts", "control-room"
redis = Redis.from_url(url, decode_responses=True)
try:
    redis.xgroup_create(stream, group, id="$", mkstream=True)  # the group begins with what comes from now on
except ResponseError as error:
    if "BUSYGROUP" not in str(error):  # it is there already
        raise
after = "0"  # first what this consumer took and never acknowledged, then what nobody has taken
while True:
    answer = redis.xreadgroup(group, consumer, {stream: after}, count=10, block=5000)
    entries = answer[0][1] if answer else []
    if after == "0" and not entries:
        after = ">"
    for entry, fields in entries:
        alert = json.loads(fields["event"])["data"]["properties"] if fields else {"notice": ""}  # {}: no longer kept
        if alert["notice"]:
            print(alert["notice"], alert["tier"], alert["category"], alert["observed"], alert["id"], flush=True)
        redis.xack(stream, group, entry)
