"""The page ``docs/alerts.md``: the life of an alert, generated from the tracker's table of transitions."""

from __future__ import annotations

from collections import defaultdict

from detectors.alerts.lifecycle import TERMINAL, TRANSITIONS, AlertState, Reason
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
(`ease_below`), and ends after a quiet time (`end_after_h`). Then a cool-down begins: for `cool_down_h`, no other alert
of its stream opens whose centre is within `cool_down_m` of the ended one's. Under the Bayesian scan, this holds back
only clusters that are no stronger than the ended alert ever was.

A scan counts *events*. Several *incidents* can be of one event, such as three calls about one fight; they count once,
by the first of them (`same_event`). An alert's figures count events: `observed`, `expected`, `breakdown`. Its `members`
are the ids of all incidents. `records` is their number if it is higher than `observed`.

The incidents that an alert shares with the clusters of each scan decide what becomes of it:

- A cluster goes to the open alert with which it shares most incidents. The alert continues as this cluster.
- If an alert gets no cluster, but at least half of its incidents are in a cluster that went to another alert, the two
  have **merged**: it ends, and names the other in `merged_into`.
- If a cluster goes to no alert, and fewer than half of its incidents are from open alerts, it has **split** off: it
  opens a new alert, which names the old one in `split_from`. With half or more it stays part of the old one.

Every revision has a `reason`, which says why it was made, and a `notice`, which says what it tells a control room. Most
notices are empty. The last revision is always `ended` or `withdrawn`. An alert is withdrawn when members were
cancelled and too few still stand.

| notice | meaning |
| --- | --- |
| `opened` | the first revision: look at it |
| `escalated` | rarer than ever before: `tier` has risen |
| `tier_changed` | new members, and the cluster has another tier than at the last notice (`tier` keeps the highest) |
| `area_changed` | new or relocated members, mostly at other locations |
| `risk_changed` | new members, and the relative risk has changed by more than `same_risk` |
| `reminder` | nothing new for `reminder_h`, and it is still there |
| `ended` | it has ended, or was withdrawn |
| empty | the figures are updated, nothing more: do not sound |

## How rare it is

`recurrence_interval_days` is the mean number of days until chance alone shows as much. What it rests on is in
`interval_kind` and `interval_is_lower_bound`:

| kind | lower bound | it reads | meaning |
| --- | --- | --- | --- |
| `calibrated` | absent | by chance once in 90 days | counted in null histories of this area |
| `calibrated` | `true` | rarer than anything in 8 simulated years | no alert by chance was as strong |
| `nominal` | absent | by chance once in 90 days (nominal) | worked out, not simulated: it only ranks alerts |

## What people do about it

A response is what a person does about an open alert. There are three, by the field `action`:

| action | meaning | effect |
| --- | --- | --- |
| `acknowledge` | I have seen it | no more reminders, for the rest of the alert's life |
| `take` | I deal with it | none |
| `outcome` | this is what it was: `genuine_series`, `venue`, `data_artefact` or `unknown`, in `outcome` | none |

Each response makes a silent revision, whose `response` shows the last response of each action: who gave it, when, and
the outcome. State, tier, figures and later scans do not change, and an acknowledged alert still has notices when it
escalates, changes or ends. If the same user repeats the last response of an action, this makes no revision. If another
user gives it, that replaces the last one. No response can be undone.

**Who may.** Operators respond in the [console](console.md#who-may-look-and-who-may-act); viewers cannot. Programs use
the console's API (`POST /api/alerts/{id}/take`, [an example](console.md#the-api)), or write a record to the topic
`responses` ([schema](schemas/response.json), [an example](../README.md#run-it-on-your-kafka)). The key of the record is
the area, `id` is a new UUID, and `at` is the time by the sender's clock. Nobody checks the `user` of a record, so give
the [right to write](how-to/restrict-access.md) to that topic only to programs that know their users.

**When.** A response takes effect at once, at the last closed tick, and has a separate scan record for that tick
([evidence](evidence.md)). It starts no scan, so incidents are found at the same ticks with and without responses.

**If it is wrong.** The API refuses a wrong response: 403 to viewers, 404 for an unknown alert, 409 if the alert is
over, 422 for an unknown outcome, 503 while Kafka or Redis is away. A wrong record changes no alert. It goes to
`incidents.rejected` and counts in `hotspots_rejected_total`, with one of these reasons: `no_such_alert` (the alert is
not open), `bad_response` (it does not match the schema), `no_area`, `unknown_area` or `wrong_partition` (its key).

## One hot spot in two streams

A cluster of one category often stands out in the stream `all` too.

Under the Bayesian scan it is one alert, of the stream that shows it best:

- A cluster of another stream takes the alert over if its score is above all scores of the alert so far. With new
  incidents, a score above that of the alert's last cluster is enough. The alert keeps its `id`; its `category` and
  figures are now those of this stream. If nothing else is new, the reason is `category_changed`, or `score_recovered`
  if the alert was easing. Alerts that have at least half of their incidents in the cluster merge into this one.
- If its own stream no longer shows an alert, any cluster that could keep an alert alive takes it over. So an alert ends
  only when no stream shows its incidents.
- Any other cluster that shares incidents with an alert of another stream opens nothing. If half of one of them is in
  the other, they are one hot spot, and the cluster's own alert merges into the other one.
- `also_in` lists the other streams that show the alert's incidents at that tick, each with the figures of its best
  cluster. A cluster of `all` with events of one category alone is not listed.
- After an alert of one category, the cool-down holds back clusters of that category and of `all`. After an alert of
  `all`, it holds back clusters of every stream.

Under the permutation scan it is two alerts with the same members.

## Reports that are still to come

Reports come after the incidents, so some reports of the latest hours are still missing. `completeness` says how many
have usually come by now: it is a share of all reports of the alert's stream from its hours, `window_start` to now. With
a completeness of 0.8 and four known incidents, one more is usually still to come.

- It is learnt from the delays between occurrence and `reported_at`, as the window first saw each incident (with
  `revision`s, only versions 0 and 1).
- Only the older half of the window counts. Of recent incidents just the quickly reported ones are known yet.
- Delays longer than that half are left out.
- With fewer than 100 known delays in the stream the field is absent.
- It does not cover what happens between `reported_at` and the topic, such as a transfer once a night.

The Bayesian scan expects only that share: `expected` is what is usually known by now, for each stream by its own
delays. It never expects less than a tenth of what is usual. The permutation model compares a location with the whole
area in the same hours, and there the same share is missing, so `completeness` changes neither `expected` nor `score`.
Where delays differ between locations, both mislead: a location whose reports come later than others' looks quieter than
it is, and the others look busier. The expectation-based model of the one-shot scan (`--model eb-poisson`) expects, for
each interval, the share that has come. """

_ARTEFACTS = f"""\
## What else may explain it

Every revision lists in `artefacts` what, apart from a hot spot, may explain its events. Each artefact has a `kind`, the
number of events that it explains (`members`), and their share of all events as its `score`, 0 to 1. The largest of
these scores is the alert's `artefact_score`. Nothing is hidden, held back or ranked lower because of an artefact. It
opens, ends and silences no alert, and changes neither its score nor its tier.

- `{ArtefactKind.STACK}`: events at one exact coordinate, at least {STACK_MEMBERS} and {STACK_SHARE:.0%} of all. So many
  must have a chance below {STACK_CHANCE:g}, given how many of this stream's events in the zone lie there over the whole
  window. The coordinate may be a geocoder's default point, or one address that is busier than ever. A
  coordinate that always has its share is no stack.
- `{ArtefactKind.DUPLICATES}`: events of one category within {DUPLICATE_M:g} m and {DUPLICATE_S // 60} min of each
  other, directly or in a chain, that may be calls about one event. All but one are explained. A time that is known
  only as an interval does not count. The default `same_event` has the same limits, so this is hardly ever found: ten
  calls about one fight within ten minutes are one event already, and `records` shows that there were ten. With
  `within_s = 0` they count as ten events, and this artefact explains nine of them.
- `{ArtefactKind.DENIED}`: events within `radius_m` of an entry of the area's `deny_list`. The entry's name is in
  `place`, and each such entry is one artefact.
- `{ArtefactKind.VENUE}`: one site with several coordinates. At least {VENUE_SHARE:.0%} of all lie within
  {VENUE_M:g} m of one of them, no coordinate has half, and the zone is at least {4 * VENUE_M:g} m wide.

Events whose incident names only its `location` count at the centre of that location, except in a stack.
`deny_list` is in [`config/monitor.toml`](../config/monitor.toml). A calibration does not depend on it.

"""


def document() -> str:
    """Return the page, Markdown."""
    edges: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (state, event), (following, _) in TRANSITIONS.items():
        edges[state, following].append(event)
    drawn = [f"    [*] --> {AlertState.OPEN}: {Reason.OPENED}"]
    drawn += [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in edges.items()]
    drawn += [f"    {state} --> [*]" for state in TERMINAL]
    rows = [
        f"| {state} | {event} | {following} | {f'`{reason}`' if reason else 'no revision'} |"
        for (state, event), (following, reason) in TRANSITIONS.items()
    ]
    table = ["| state | what happens | state after it | reason |", "| --- | --- | --- | --- |", *rows]
    end = "This page is generated from `detectors/alerts/lifecycle.py` and `detectors/clusters/artefacts.py`."
    return "\n".join([_PREFACE, "```mermaid", "stateDiagram-v2", *drawn, "```", "", *table, "", _ARTEFACTS + end, ""])
