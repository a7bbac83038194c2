"""An on-call tool that accepts every notification."""

from __future__ import annotations

import http.server
import json
import threading
from collections import Counter
from typing import Any, Self


class Desk(http.server.ThreadingHTTPServer):
    """The tool. ``fired`` counts by alert the notifications that it is open; ``resolved`` those that it has ended."""

    def __init__(self) -> None:
        self.fired: Counter[str] = Counter()
        self.resolved: Counter[str] = Counter()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Desk

    def do_POST(self) -> None:
        """Accept a notification."""
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in body["alerts"]:
            count = self.server.fired if body["status"] == "firing" else self.server.resolved
            count[alert["labels"]["alert_id"]] += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""
