"""The page ``docs/alerts.md``: the life of an alert, drawn and written from the table that the tracker goes by."""

from __future__ import annotations

from collections import defaultdict

from detectors.alerts.lifecycle import OPENED, TERMINAL, TRANSITIONS, AlertState
from detectors.clusters.artefacts import (
    DUPLICATE_M,
    DUPLICATE_S,
    STACK_CHANCE,
    STACK_MEMBERS,
    STACK_SHARE,
    VENUE_M,
    VENUE_SHARE,
    ArtefactKind,
)

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

| notice | what it tells |
| --- | --- |
| `opened` | the first revision: look at it |
| `escalated` | rarer than ever before: `tier` has risen |
| `tier_changed` | new members, and the cluster is of another tier now than was said last; `tier` keeps the highest |
| `area_changed` | new or relocated members, mostly at other places |
| `risk_changed` | new members, and a relative risk that is another by `same_risk` |
| `reminder` | nothing new for `reminder_h`, and it is still there |
| `ended` | it has ended, or was withdrawn |
| empty | figures are kept fresh, nothing more: do not sound |

## What people do about it

Whoever reads an alert can acknowledge it, take it, or note what came of it, by a record in the topic `responses`
([schema](schemas/response.json), key = area). Each makes a silent revision, which keeps state, tier and figures and has
in `response` who did each of the three last, and when. Acknowledging mutes reminders for the rest of the alert's life,
and nothing else: it still speaks when it escalates, changes in a way that matters, or ends. The same by the same user
once more makes no revision. Only an alert that is open can be answered: a response to any other is rejected as
`no_such_alert`, one that cannot be read as `bad_response`.

A response takes effect at the last closed tick, and a scan record of its own names that tick (see
[evidence](evidence.md)). Nothing is scanned for it, so incidents are found at the same ticks whether or not anybody
answers.

## One cluster in two streams

A cluster of one category often stands out in the stream `all` as well, and is then two alerts with the same members.

## Reports that are still to come

Incidents are reported after they occur, so that of the latest hours not all are known. `completeness` is the share of
the reports of the alert's category from its hours, `window_start` to now, that has usually come by now: 0.8 says that
for four incidents known a fifth is usually still on its way. It is learnt from `reported_at` less the time of
occurrence, of each incident as the window first saw it (of versions with a `revision`, 0 and 1 only), over the older
half of what the window holds. Of recent incidents only the quickly reported are known, so they tell nothing yet; a
report that takes longer than that half is not waited for. With fewer than 100 known delays in the category the field is
absent. What happens between `reported_at` and the topic, such as a transfer once a night, it does not know.

It changes neither `expected` nor `score`. The permutation model compares a place with the whole area in the same hours,
of which as much is missing, so that it needs completeness only where delays differ between places: one whose reports
come later than the others' looks quieter than it is, and the others busier. The expectation-based model of the
one-shot scan (`--model eb-poisson`) compares a place with its own past alone, and expects of each interval only the
share that has come.
"""

_ARTEFACTS = f"""\
## What else may explain it

Every revision says in `artefacts` what, apart from a hot spot, may explain its incidents, and in `artefact_score` the
largest share of them that one of these explains, 0 to 1. Nothing is hidden, held back or ranked lower for it: an
artefact opens, ends and silences no alert, and changes neither its score nor its tier. Each has a `kind`, the number of
`members` that it explains, and as its `score` their share of all.

- `{ArtefactKind.STACK}`: incidents at one exact coordinate, at least {STACK_MEMBERS} and {STACK_SHARE:.0%} of all,
  where so many have a chance below {STACK_CHANCE:g}, given how many of this stream's incidents in the zone lie there
  over the whole window. It may be a geocoder's default point, or one address that is busier than ever; a coordinate
  that always has its share is none.
- `{ArtefactKind.DUPLICATES}`: of incidents of one category within {DUPLICATE_M:g} m and {DUPLICATE_S // 60} min of each
  other, in chains, all but one. Of ten calls about one fight that is nine. The end of an interval is no moment, and is
  not looked at.
- `{ArtefactKind.DENIED}`: incidents within `radius_m` of a place of the area's `deny_list`, whose name is in `place`;
  one for each such place.
- `{ArtefactKind.VENUE}`: one premises, with several coordinates: at least {VENUE_SHARE:.0%} of all within
  {VENUE_M:g} m of one of them, and half at none, in a zone at least {4 * VENUE_M:g} m wide.

Incidents that name their `location` and no coordinates are taken at its centre; stacks leave them out.
`deny_list` is in [`config/monitor.toml`](../config/monitor.toml); a calibration does not depend on it.

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
    table = ["| state | event | state after it | reason |", "| --- | --- | --- | --- |", *rows]
    end = "This page is generated from `detectors/alerts/lifecycle.py` and `detectors/clusters/artefacts.py`."
    return "\n".join([_PREFACE, "```mermaid", "stateDiagram-v2", *drawn, "```", "", *table, "", _ARTEFACTS + end, ""])
