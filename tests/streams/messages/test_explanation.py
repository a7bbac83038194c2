"""An alert in plain English: every figure of the paragraph is the alert's, and every doubt is named."""

from __future__ import annotations

import msgspec
from hypothesis import given

from detectors.alerts.alert import Alert
from detectors.alerts.stream_figures import StreamFigures
from detectors.area.settings import Stream
from detectors.clusters.artefacts import Artefacts
from streams.messages.alert import AlertFeature, alert_event, read_alert
from streams.messages.explanation import figures, paragraph
from tests.streams.messages.alert_events import with_fields
from tests.streams.messages.test_alert import ALERT, ALERTS, LONDON


def feature(alert: Alert) -> AlertFeature:
    return read_alert(alert_event(alert, LONDON, "c0ffee")).data


def test_a_paragraph_says_how_the_bayesian_scan_knows_what_chance_shows() -> None:
    bayesian = msgspec.structs.replace(LONDON, statistic="bayes")
    found = read_alert(alert_event(ALERT, bayesian, "c0ffee")).data
    assert found.properties.model == "space-time-bayes"
    assert "Nominally, chance alone shows as much once in 400 days. This is worked out from the odds" in paragraph(
        found
    )


def test_a_paragraph_says_what_where_since_when_and_how_unusual() -> None:
    """Times are London's summer time: the cylinder began on 30 June at 21:00 UTC."""
    text = paragraph(feature(ALERT))
    assert text.startswith(
        "leeds: 6 property events at 2 locations within 212 m of 53.79490, -1.54790 since Tuesday 30 June 2026, "
        "22:00, where 0.75 are usual for this place and these hours, 8 times as many."
    )
    assert "Nominally, chance alone shows as much once in 400 days. This is worked out from the p-value" in text
    assert (
        "opened on 1 July, 01:00 and is escalated at the tier alert, as of 1 July, 02:00 (revision 3: tier rose)"
        in text
    )


def test_other_streams_that_show_it_are_named() -> None:
    both = (
        StreamFigures(Stream.ALL, 9, 1.23, 24, 8.0, 900.0),
        StreamFigures(Stream.VIOLENCE, 3, 0.2, 4, 2.0, 40.0),
    )
    text = paragraph(feature(with_fields(ALERT, also_in=both)))
    assert (
        "8 times as many. It also stands out by 9 events of all four categories together within 24 h against 1.2 "
        "usual; by 3 violence events within 4 h against 0.2 usual. Nominally"
    ) in text
    assert "also stands out" not in paragraph(feature(ALERT))


def test_the_name_of_a_place_replaces_the_coordinates() -> None:
    text = paragraph(feature(ALERT), "near High Street, beat 12")
    assert text.startswith("leeds: 6 property events at 2 locations within 212 m, near High Street, beat 12, since ")


def test_a_calibrated_alert_shows_its_budget() -> None:
    calibrated = with_fields(ALERT, calibration="beef", budget_per_week=2.0)
    assert "it is set to open 2 a week by chance" in paragraph(feature(calibrated))


def test_an_alert_beyond_all_null_histories_claims_no_longer_time() -> None:
    beyond = with_fields(
        ALERT,
        calibration="beef",
        budget_per_week=2.0,
        recurrence_interval_days=416 * 7.0,
        interval_is_lower_bound=True,
    )
    text = paragraph(feature(beyond))
    assert "It is rarer than anything in 8 simulated years of this area without clusters; " in text
    assert "once in" not in text
    assert figures(feature(beyond))["interval_is_lower_bound"] is True
    assert "interval_is_lower_bound" not in figures(feature(ALERT))


def test_figures_are_written_as_people_write_them() -> None:
    many = with_fields(ALERT, observed=120, expected=0.0123, recurrence_interval_days=99.7)
    text = paragraph(feature(many))
    assert "0.012 are usual" in text
    assert "9,756 times as many" in text
    assert "once in 100 days" in text
    crowded = with_fields(ALERT, observed=400, expected=123.4, recurrence_interval_days=0.25)
    assert "where 123 are usual for this place and these hours, 3.2 times as many" in paragraph(feature(crowded))
    assert "once in 6 hours" in paragraph(feature(crowded))


def test_doubts_are_named() -> None:
    text = paragraph(feature(ALERT))
    assert "4 of 6 lie at the listed place Hospital" in text
    assert "1 of 6 may be further calls about another of them" in text
    assert "for 2 of the events only an interval is known" in text
    assert "2 were discovered by patrols" in text
    assert "usually 88% of the reports from these hours have come by now" in text
    plain = with_fields(ALERT, artefacts=Artefacts(), interval_times=0, reported=6, completeness=None)
    assert paragraph(feature(plain)).endswith("No known artefact explains it.")


def test_a_withdrawn_alert_begins_with_that() -> None:
    withdrawn = with_fields(ALERT, state="withdrawn", reason="members_cancelled")
    assert paragraph(feature(withdrawn)).startswith("Withdrawn: too few of its incidents still stand.")


@given(alert=ALERTS)
def test_any_alert_can_be_explained_and_its_figures_are_those_published(alert: Alert) -> None:
    found = feature(alert)
    assert f"{alert.figures.observed} " in paragraph(found)
    published = msgspec.to_builtins(found.properties)
    assert all(published[name] == figure for name, figure in figures(found).items())
