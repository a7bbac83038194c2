"""Prints every notice for a control room; after a crash, first those that were not acknowledged."""

from __future__ import annotations

import json
import sys

from redis import Redis, ResponseError

url, area, consumer = sys.argv[1:]  # such as: redis://127.0.0.1:6379/0 leeds desk-1
stream, group = f"hotspots:{{{area}}}:alerts", "control-room"
redis = Redis.from_url(url, decode_responses=True)
try:
    redis.xgroup_create(stream, group, id="$", mkstream=True)  # the group begins with new entries
except ResponseError as error:
    if "BUSYGROUP" not in str(error):  # the group already exists
        raise
after = "0"  # first the entries that this consumer took and never acknowledged, then new ones
while True:
    reply = redis.xreadgroup(group, consumer, {stream: after}, count=10, block=5000)
    entries = reply[0][1] if reply else []
    if after == "0" and not entries:
        after = ">"
    for entry, fields in entries:
        alert = json.loads(fields["event"])["data"]["properties"] if fields else {"notice": ""}  # {}: deleted
        if alert["notice"]:
            print(alert["notice"], alert["tier"], alert["category"], alert["observed"], alert["id"], flush=True)
        redis.xack(stream, group, entry)
