"""Days and moments as FHIR writes them: with a precision, hence as an interval in the site's zone.

FHIR R4 date, dateTime and instant: https://hl7.org/fhir/R4/datatypes.html#dateTime
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from enum import IntEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from cds.values.truth import Truth

_DATE = "YYYY, YYYY-MM, YYYY-MM-DD or an instant with offset are accepted"
_INSTANT = "YYYY-MM-DDThh:mm:ss with Z or +hh:mm is accepted"
_ZONE = "an IANA name such as UTC or America/New_York is accepted"

_MICROSECOND = timedelta(microseconds=1)
_NO_TIME = timedelta(0)
_LONGEST_SHOWN = 40

# A blank for the T, lower-case letters, an offset without a colon: no FHIR, but plain to read.
_FORM = re.compile(
    r"""(?P<year>[0-9]{4}) (?: -(?P<month>[0-9]{2}) (?: -(?P<day>[0-9]{2})
    (?P<time> [Tt\ ] (?P<hour>[01][0-9]|2[0-3]) : (?P<minute>[0-5][0-9])
      (?: : (?P<second>[0-5][0-9]|60) (?: \. (?P<fraction>[0-9]{1,9}) )? )?
      (?P<offset> [Zz] | [+-] (?: (?:0[0-9]|1[0-3]) :? [0-5][0-9] | 14 :? 00 ) )?
    )? )? )?""",
    re.VERBOSE,
)


class Precision(IntEnum):
    """How much of a date is written, coarsest first."""

    YEAR = 1
    MONTH = 2
    DAY = 3
    INSTANT = 4


class DayRange(msgspec.Struct, frozen=True):
    """An uncertain calendar day: one of those from ``earliest`` to ``latest``, both included.

    Two ranges are taken as independent of each other, so an uncertain day compared with itself is
    unknown. Raises ValueError when the ends are the wrong way round.
    """

    earliest: date
    latest: date

    def __post_init__(self) -> None:
        if self.latest < self.earliest:
            raise ValueError(
                f"{self.latest} is before {self.earliest}: the earlier day comes first"
            )

    @staticmethod
    def of(day: date) -> DayRange:
        """The range of one certain day."""
        return DayRange(day, day)

    @property
    def certain(self) -> bool:
        """Whether it can be one day only."""
        return self.earliest == self.latest

    def __add__(self, days: int) -> DayRange:
        """The range so many calendar days later; stops at the first and last day there is."""
        return DayRange(_shift(self.earliest, days), _shift(self.latest, days))

    def __sub__(self, days: int) -> DayRange:
        """The range so many calendar days earlier; stops at the first and last day there is."""
        return self + -days

    def before(self, other: DayRange) -> Truth:
        """Whether the day is before the other: unknown when only some of the possible days are."""
        if self.latest < other.earliest:
            return Truth.YES
        return Truth.NO if self.earliest >= other.latest else Truth.UNKNOWN

    def after(self, other: DayRange) -> Truth:
        """Whether the day is after the other."""
        return other.before(self)

    def same(self, other: DayRange) -> Truth:
        """Whether both are the same day: yes only when both are certain."""
        if self.latest < other.earliest or other.latest < self.earliest:
            return Truth.NO
        return Truth.YES if self.certain and other.certain else Truth.UNKNOWN

    def days_to(self, other: DayRange) -> tuple[int, int]:
        """The smallest and the largest number of calendar days from this day to the other."""
        return (other.earliest - self.latest).days, (other.latest - self.earliest).days


class PartialDate(msgspec.Struct, frozen=True):
    """A date as written, and the moments that it may mean.

    ``first`` and ``last`` are aware, in the site's zone, both included; of an instant they are the
    same. ``days`` are calendar days in the site's zone; of a date without a time they are the days
    as written, which have no zone. Two datetimes of one zone subtract and compare by wall clock in
    Python: use `elapsed`.
    """

    text: str
    precision: Precision
    first: datetime
    last: datetime
    days: DayRange

    @property
    def is_timed(self) -> bool:
        """Whether a time of day is written."""
        return self.precision is Precision.INSTANT

    def before(self, other: PartialDate) -> Truth:
        """Whether the moment is before the other: unknown when only some possible moments are."""
        if elapsed(self.last, other.first) > _NO_TIME:
            return Truth.YES
        return Truth.NO if elapsed(self.first, other.last) <= _NO_TIME else Truth.UNKNOWN

    def after(self, other: PartialDate) -> Truth:
        """Whether the moment is after the other."""
        return other.before(self)


def elapsed(start: datetime, end: datetime) -> timedelta:
    """The time that passes from ``start`` to ``end``, both aware; negative when ``end`` is earlier.

    The trap: ``end - start`` of two datetimes in one zone is the difference of the wall clocks, an
    hour off when the clocks change in between. Raises ValueError when one has no zone.
    """
    offsets = start.utcoffset(), end.utcoffset()
    if offsets[0] is None or offsets[1] is None:
        raise ValueError("a moment without a zone: aware datetimes are accepted")
    return end.replace(tzinfo=None) - start.replace(tzinfo=None) - (offsets[1] - offsets[0])


def read_date(text: object, zone: ZoneInfo) -> PartialDate:
    """The PartialDate of a FHIR date, dateTime or instant.

    Any offset is converted to ``zone``; a time without one is taken to be in it (the earlier of
    two, where the clocks go back). Second 60 is read as 59, digits beyond microseconds are dropped.
    Raises ValueError for anything else, with what is accepted.
    """
    return _read_date(text if isinstance(text, str) else _shown(text), zone)


# The dates of one record are much the same: an order's stands on its dispense and its encounter.
@lru_cache(maxsize=16_384)
def _read_date(text: str, zone: ZoneInfo) -> PartialDate:
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{_shown(text)} is not a FHIR date: {_DATE}")
    try:
        return _instant(match, zone) if match["time"] else _period(match, zone)
    except (ValueError, OverflowError):
        raise ValueError(f"{_shown(text)} is not a FHIR date: {_DATE}") from None


def read_instant(text: object, zone: ZoneInfo) -> datetime:
    """The aware datetime, in ``zone``, of an instant.

    Raises ValueError, with what is accepted, when the time or its offset is missing.
    """
    match = _FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or not match["offset"]:
        raise ValueError(f"{_shown(text)} is not an instant: {_INSTANT}")
    try:
        return _moment(match, zone)
    except (ValueError, OverflowError):
        raise ValueError(f"{_shown(text)} is not an instant: {_INSTANT}") from None


def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises ValueError, with what is accepted, for another."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, AttributeError, OSError):
        # KeyError: not found. OSError: the name of a folder, such as "America". ValueError: a path.
        raise ValueError(f"{_shown(name)} is not a time zone: {_ZONE}") from None


def _shift(day: date, days: int) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.max if days > 0 else date.min


def _instant(match: re.Match[str], zone: ZoneInfo) -> PartialDate:
    moment = _moment(match, zone)
    return PartialDate(match[0], Precision.INSTANT, moment, moment, DayRange.of(moment.date()))


def _moment(match: re.Match[str], zone: ZoneInfo) -> datetime:
    """The instant in ``zone``; by way of UTC, which moves a wall-clock time that never was."""
    local = datetime(
        int(match["year"]),
        int(match["month"]),
        int(match["day"]),
        int(match["hour"]),
        int(match["minute"]),
        min(int(match["second"] or 0), 59),
        int((match["fraction"] or "")[:6].ljust(6, "0")),
        tzinfo=_offset(match["offset"], zone),
    )
    return local.astimezone(UTC).astimezone(zone)


def _offset(text: str | None, zone: ZoneInfo) -> timezone | ZoneInfo:
    if not text:
        return zone
    if text in "Zz":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _period(match: re.Match[str], zone: ZoneInfo) -> PartialDate:
    """The PartialDate of a year, a month or a day: from its first moment to its last."""
    days, precision = _days(int(match["year"]), match["month"], match["day"])
    first = _midnight(days.earliest, zone)
    # A whole day that a zone skipped has no moments of its own: it ends when it begins.
    last = max(first, _last_moment(days.latest, zone))
    return PartialDate(match[0], precision, first, last, days)


def _days(year: int, month: str | None, day: str | None) -> tuple[DayRange, Precision]:
    if month is None:
        return DayRange(date(year, 1, 1), date(year, 12, 31)), Precision.YEAR
    if day is not None:
        return DayRange.of(date(year, int(month), int(day))), Precision.DAY
    first = date(year, int(month), 1)
    if first.month == 12:
        return DayRange(first, first.replace(day=31)), Precision.MONTH
    return DayRange(
        first, first.replace(month=first.month + 1) - timedelta(days=1)
    ), Precision.MONTH


@lru_cache(maxsize=16_384)
def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of the day: later than 00:00 where the clocks skip midnight."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    try:
        return midnight.astimezone(UTC).astimezone(zone)
    except OverflowError:  # the very first or last day there is
        return midnight


@lru_cache(maxsize=16_384)
def _last_moment(day: date, zone: ZoneInfo) -> datetime:
    try:
        following = _midnight(day + timedelta(days=1), zone).astimezone(UTC)
        return (following - _MICROSECOND).astimezone(zone)
    except OverflowError:
        return datetime(day.year, day.month, day.day, 23, 59, 59, 999_999, tzinfo=zone)


def _shown(value: object) -> str:
    """The value for a message. Never the repr of a structure: it may be as deep as the input."""
    if not isinstance(value, str):
        return f"{value}" if value is None or isinstance(value, bool) else type(value).__name__
    return repr(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…")
