"""Dates with a precision: what they may mean, in zones whose clocks do odd things."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from cds.values.moment import (
    DayRange,
    PartialDate,
    Precision,
    elapsed,
    read_date,
    read_instant,
    zone,
)
from cds.values.truth import Truth, known, negate

NEW_YORK = ZoneInfo("America/New_York")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")  # skipped midnight in spring
HAVANA = ZoneInfo("America/Havana")  # midnight comes twice in autumn
APIA = ZoneInfo("Pacific/Apia")  # 2011-12-30 never was
ZONES = st.sampled_from([ZoneInfo("UTC"), NEW_YORK, KATHMANDU, SAO_PAULO, HAVANA, APIA])

DATES = st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 12, 31))
NEAR = st.dates(min_value=date(2026, 1, 1), max_value=date(2026, 1, 6))
INSTANTS = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - Hypothesis takes naive bounds
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@st.composite
def day_ranges(draw: st.DrawFn) -> DayRange:
    first, second = draw(NEAR), draw(NEAR)
    return DayRange(min(first, second), max(first, second))


def days(span: DayRange) -> Iterator[date]:
    count = (span.latest - span.earliest).days + 1
    return (span.earliest + timedelta(days=number) for number in range(count))


def agreed(outcomes: set[bool]) -> Truth:
    return known(outcomes.pop()) if len(outcomes) == 1 else Truth.UNKNOWN


# --- uncertain days ------------------------------------------------------------------------------


@given(day_ranges(), day_ranges())
def test_comparison_is_what_every_choice_of_days_says(left: DayRange, right: DayRange) -> None:
    pairs = [(one, two) for one in days(left) for two in days(right)]
    assert left.before(right) is agreed({one < two for one, two in pairs})
    assert left.after(right) is agreed({one > two for one, two in pairs})
    assert left.same(right) is agreed({one == two for one, two in pairs})


@given(day_ranges(), day_ranges())
def test_days_to_are_the_extremes_of_every_choice(left: DayRange, right: DayRange) -> None:
    counts = [(two - one).days for one in days(left) for two in days(right)]
    assert left.days_to(right) == (min(counts), max(counts))


@given(day_ranges(), st.integers(-400, 400))
def test_shifting_there_and_back(span: DayRange, count: int) -> None:
    assert (span + count) - count == span
    assert span.days_to(DayRange.of(span.earliest) + count)[1] == count


def test_shifting_stops_at_the_ends_of_the_calendar() -> None:
    forever = DayRange.of(date.max)
    assert forever + 1 == forever
    assert DayRange.of(date.min) - 10**12 == DayRange.of(date.min)
    assert DayRange.of(date(2026, 1, 1)) + 10**12 == forever


def test_ends_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match="2026-01-01 is before 2026-01-02"):
        DayRange(date(2026, 1, 2), date(2026, 1, 1))


# --- reading -------------------------------------------------------------------------------------


@given(DATES, ZONES)
@example(date(2018, 11, 4), SAO_PAULO)
@example(date(2018, 2, 17), SAO_PAULO)
@example(date(2025, 11, 2), HAVANA)
@example(date(2011, 12, 30), APIA)
@example(date(9999, 12, 31), NEW_YORK)
@example(date(1, 1, 1), KATHMANDU)
def test_a_day_is_the_day_as_written(day: date, site: ZoneInfo) -> None:
    read = read_date(day.isoformat(), site)
    assert read.days == DayRange.of(day)
    assert read.precision is Precision.DAY
    assert not read.is_timed
    assert elapsed(read.first, read.last) >= timedelta(0)


@given(st.dates(date(1930, 1, 1), date(2100, 12, 31)), ZONES)
@example(date(2018, 11, 3), SAO_PAULO)
@example(date(2025, 11, 1), HAVANA)
@example(date(2011, 12, 29), APIA)
def test_days_follow_each_other_without_gap_or_overlap(day: date, site: ZoneInfo) -> None:
    following = day + timedelta(days=1)
    one, two = read_date(day.isoformat(), site), read_date(following.isoformat(), site)
    assume(date(2011, 12, 30) not in {day, following} or site is not APIA)
    assert elapsed(one.last, two.first) == timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "site", "first", "last"),
    [
        ("2018-11-04", SAO_PAULO, "2018-11-04T01:00:00-02:00", "2018-11-04T23:59:59.999999-02:00"),
        ("2018-02-17", SAO_PAULO, "2018-02-17T00:00:00-02:00", "2018-02-17T23:59:59.999999-03:00"),
        ("2025-11-02", HAVANA, "2025-11-02T00:00:00-04:00", "2025-11-02T23:59:59.999999-05:00"),
        ("2026-03-08T02:30:00", NEW_YORK, "2026-03-08T03:30:00-04:00", "2026-03-08T03:30:00-04:00"),
    ],
)
def test_a_time_that_never_was_is_not_shown(
    text: str, site: ZoneInfo, first: str, last: str
) -> None:
    read = read_date(text, site)
    assert (read.first.isoformat(), read.last.isoformat()) == (first, last)


@given(INSTANTS, ZONES)
def test_an_instant_lies_in_its_day_month_and_year(instant: datetime, site: ZoneInfo) -> None:
    timed = read_date(instant.isoformat(), site)
    text = timed.first.date().isoformat()
    for partial in (text, text[:7], text[:4]):
        whole = read_date(partial, site)
        assert elapsed(whole.first, timed.first) >= timedelta(0)
        assert elapsed(timed.first, whole.last) >= timedelta(0)
        assert whole.days.same(timed.days) is not Truth.NO


@given(INSTANTS, st.integers(-14 * 60, 14 * 60), ZONES)
def test_the_offset_changes_nothing_but_the_writing(
    instant: datetime, minutes: int, site: ZoneInfo
) -> None:
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    wall = (instant + timedelta(minutes=minutes)).replace(tzinfo=None).isoformat()
    read = read_date(f"{wall}{sign}{size // 60:02}:{size % 60:02}", site)
    assert read.first == read.last == instant
    assert read.first.tzinfo is site
    assert read.is_timed


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-06-10T23:30:00-04:00", "2026-06-11T03:30:00"),
        ("2026-06-10T23:30:00.000Z", "2026-06-10T23:30:00"),
        ("2026-06-10t23:30:00z", "2026-06-10T23:30:00"),
        ("2026-06-10 23:30:00Z", "2026-06-10T23:30:00"),
        ("2026-06-10T23:30Z", "2026-06-10T23:30:00"),
        ("2026-06-10T23:30:00.000+0000", "2026-06-10T23:30:00"),
        ("2026-06-10T23:30:00", "2026-06-11T03:30:00"),
        ("2026-06-10T23:30:00.1Z", "2026-06-10T23:30:00.100000"),
        ("2026-06-10T23:30:00.123456789Z", "2026-06-10T23:30:00.123456"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59"),
        ("  2026-06-10T23:30:00Z\n", "2026-06-10T23:30:00"),
        ("2026-03-08T02:30:00", "2026-03-08T07:30:00"),  # never was in New York: 03:30
        ("2026-11-01T01:30:00", "2026-11-01T05:30:00"),  # was twice: the earlier
    ],
)
def test_instants_as_they_are_written(text: str, utc: str) -> None:
    read = read_date(text, NEW_YORK)
    assert read.first.astimezone(UTC).replace(tzinfo=None).isoformat() == utc
    assert read.precision is Precision.INSTANT
    assert read.text == text.strip()


@pytest.mark.parametrize(
    ("text", "earliest", "latest", "precision"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31), Precision.YEAR),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29), Precision.MONTH),
        ("2026-12", date(2026, 12, 1), date(2026, 12, 31), Precision.MONTH),
        ("9999-12", date(9999, 12, 1), date(9999, 12, 31), Precision.MONTH),
        ("9999", date(9999, 1, 1), date(9999, 12, 31), Precision.YEAR),
        ("2026-06-10", date(2026, 6, 10), date(2026, 6, 10), Precision.DAY),
        ("2026-06-10T23:30:00-10:00", date(2026, 6, 11), date(2026, 6, 11), Precision.INSTANT),
    ],
)
def test_precision_gives_the_days(
    text: str, earliest: date, latest: date, precision: Precision
) -> None:
    read = read_date(text, NEW_YORK)
    assert read.days == DayRange(earliest, latest)
    assert read.precision is precision


NO_DATES = [
    *("", " ", "0000", "0000-01-01", "20260", "12026-01-01", "2026-13", "2026-00", "2026-1-1"),
    *("2026-02-30", "2025-02-29", "2026-06-10T", "2026-06-10T24:00:00Z", "2026-06-10T10Z"),
    *("2026-06-10T10:60Z", "2026-06-10T10:00:61Z", "2026-06-10T10:00:00.Z", "2026-06T10:00:00Z"),
    *("2026-06-10T10:00:00+15:00", "2026-06-10T10:00:00+14:30", "2026-06-10T10:00:00+05"),
    *("2026-06-10T10:00:00ZZ", "2026-06-10Z", "10.06.2026", "06/10/2026", "-2026-01-01", "now"),
    *(
        "\N{FULLWIDTH DIGIT TWO}026",
        "2026-06-10T10:00:00+02:60",
        "0001-01-01T00:00:00+14:00",
        "2026-06-10\n2026",
    ),
    "9999-12-31T23:59:59-14:00",
]


@pytest.mark.parametrize(
    "value", [*NO_DATES, 2026, 2026.5, True, None, ["2026"], {"a": 1}, b"2026"]
)
def test_what_is_no_date_is_refused_with_what_is(value: object) -> None:
    accepted = "is not a FHIR date: YYYY, YYYY-MM, YYYY-MM-DD or an instant with offset are"
    with pytest.raises(ValueError, match=f"{accepted} accepted$"):
        read_date(value, KATHMANDU)


@given(
    st.one_of(st.text(max_size=30), st.from_regex(r"[0-9T:Zz+. -]{0,30}", fullmatch=True)), ZONES
)
def test_any_text_is_a_date_or_a_value_error(text: str, site: ZoneInfo) -> None:
    try:
        read = read_date(text, site)
    except ValueError:
        return
    assert read.days.earliest <= read.days.latest


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ValueError, match="x…' is not") as caught:
        read_date("x" * 10_000, KATHMANDU)
    assert len(str(caught.value)) < 200


# --- comparing moments ---------------------------------------------------------------------------


def read(text: str) -> PartialDate:
    return read_date(text, NEW_YORK)


@pytest.mark.parametrize(
    ("left", "right", "before"),
    [
        ("2025", "2026", Truth.YES),
        ("2026", "2026-03", Truth.UNKNOWN),
        ("2026-03-01", "2026-03-01T12:00:00-05:00", Truth.UNKNOWN),
        ("2026-02-28", "2026-03-01T00:00:00-05:00", Truth.YES),
        ("2026-03-01T12:00:00-05:00", "2026-03-01T17:00:00Z", Truth.NO),
        ("2026-03-01T11:59:59-05:00", "2026-03-01T17:00:00Z", Truth.YES),
        # Both say 01:30 on the wall, an hour apart.
        ("2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", Truth.YES),
        ("2026-11-01T01:40:00-04:00", "2026-11-01T01:30:00-05:00", Truth.YES),
    ],
)
def test_before_and_after(left: str, right: str, before: Truth) -> None:
    assert read(left).before(read(right)) is before
    assert read(right).after(read(left)) is before


@given(INSTANTS, INSTANTS, ZONES)
def test_two_instants_compare_as_in_utc(one: datetime, two: datetime, site: ZoneInfo) -> None:
    left, right = read_date(one.isoformat(), site), read_date(two.isoformat(), site)
    assert left.before(right) is known(one < two)
    assert elapsed(left.first, right.first) == two - one


@given(DATES, DATES, ZONES)
def test_two_days_compare_by_calendar(one: date, two: date, site: ZoneInfo) -> None:
    assume(one != two and date(2011, 12, 30) not in {one, two})
    left, right = read_date(one.isoformat(), site), read_date(two.isoformat(), site)
    assert left.before(right) is known(one < two)
    assert left.before(right) is negate(left.after(right))


def test_elapsed_counts_hours_that_pass_not_hours_on_the_wall() -> None:
    evening, morning = read("2026-03-07T22:00:00"), read("2026-03-08T10:00:00")
    assert elapsed(evening.first, morning.first) == timedelta(hours=11)


def test_elapsed_refuses_a_moment_without_a_zone() -> None:
    aware = read("2026-03-08T10:00:00").first
    with pytest.raises(ValueError, match="aware datetimes are accepted"):
        elapsed(aware, aware.replace(tzinfo=None))


# --- instants and zones from the command line ----------------------------------------------------


def test_an_instant_is_given_in_the_site_zone() -> None:
    instant = read_instant("2026-06-10T23:00:00-04:00", KATHMANDU)
    assert instant.isoformat() == "2026-06-11T08:45:00+05:45"


@pytest.mark.parametrize(
    "value", ["2026-06-10", "2026-06-10T10:00:00", "now", "", None, 1, "2026-02-30T10:00:00Z"]
)
def test_what_is_no_instant_is_refused_with_what_is(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not an instant: .*Z or \+hh:mm is accepted"):
        read_instant(value, KATHMANDU)


def test_zones_by_name() -> None:
    assert zone("America/New_York") is NEW_YORK


@pytest.mark.parametrize(
    "name", ["", "America", "Mars/Olympus", "../UTC", "/etc/hosts", "a\0b", "EST6"]
)
def test_what_is_no_zone_is_refused_with_what_is(name: str) -> None:
    with pytest.raises(ValueError, match="is not a time zone: an IANA name such as UTC"):
        zone(name)
