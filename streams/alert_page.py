"""The page ``docs/alerts.md``: the life of an alert, drawn and written from the table that the tracker goes by."""

from __future__ import annotations

from collections import defaultdict

from detectors.lifecycle import OPENED, TERMINAL, TRANSITIONS, AlertState

_PREFACE = """\
# The life of an alert

An alert is a cluster with an identity and a life. It opens at a high score, lives on at a somewhat lower one
(`ease_below`), and ends after a quiet time (`end_after_h`), after which its place cools down. It keeps its identity
by the incidents that it shares with the clusters of each scan:

- A cluster goes to the open alert with which it shares most incidents. That alert goes on as this cluster.
- Of an alert that gets none, if at least half of its incidents are in a cluster that went to another, the two have
  **merged**: it ends, and names the other in `merged_into`.
- A cluster that went to none and has fewer than half of its incidents from open alerts has **split** off: it opens
  an alert of its own, which names the other in `split_from`. With half or more it is part of the alert that it was.

Every revision has a `reason`, which is why it was made, and a `notice`, which is what it tells a control room. Most
tell nothing: after it has opened, an alert speaks on a higher tier, at its end, when new members come together with
another tier, area or relative risk, when its members were relocated, and once in `reminder_h`. The last revision is
always `ended` or `withdrawn`: withdrawn when too few of its members still stand, since the others were cancelled.
"""


def document() -> str:
    """The page, from the table."""
    edges: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (state, event), (following, _) in TRANSITIONS.items():
        edges[state, following].append(event)
    drawn = [f"    [*] --> {AlertState.OPEN}: {OPENED}"]
    drawn += [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in edges.items()]
    drawn += [f"    {state} --> [*]" for state in TERMINAL]
    rows = [
        f"| {state} | {event} | {following} | {f'`{reason}`' if reason else 'no revision'} |"
        for (state, event), (following, reason) in TRANSITIONS.items()
    ]
    table = ["| state | what a scan says | state after it | reason |", "| --- | --- | --- | --- |", *rows]
    end = "This page is generated from `detectors/lifecycle.py`."
    return "\n".join([_PREFACE, "```mermaid", "stateDiagram-v2", *drawn, "```", "", *table, "", end, ""])


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201
