"""Reads timestamps: with one format for a whole file, in the zone of the place, and never one that cannot be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import NamedTuple

from pos_client.files.limits import AHEAD_SECONDS, EARLIEST_YEAR
from pos_client.files.problems import TextError
from pos_client.files.settings import MappingError, Time, formats_of
from pos_client.files.zones import zone_of
from pos_client.protocol.units import SECOND_MICROS, micros, utc_offset_minutes

_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_MICROSECONDS = {"epoch": SECOND_MICROS, "epoch_ms": SECOND_MICROS // 1_000}
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a wall clock; the zone is added like that of any other
_DAY_MINUTES = 24 * 60
_MINUTE_MICROS = 60 * SECOND_MICROS
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EXCEL_RECENT = re.compile(r"[3-6][0-9]{4}(\.[0-9]+)?\Z")
"""A day from 1982 to 2091 as a spreadsheet counts it."""
_BLANK_BEFORE_OFFSET = re.compile(r" (?=[+-][0-9]{2}:?[0-9]{2}\Z)")
_POINTS = re.compile(r"\b([AaPp])\.\s?([Mm])\.")
_ABBREVIATION = re.compile(r"\b[A-Z]{2,5}\b(?!.*\b[A-Z]{2,5}\b)")


class ZonedInstant(NamedTuple):
    """An instant in µs since 1970, and its UTC offset in minutes."""

    micros: int
    offset_minutes: int

    def business_day(self, day_ends: int) -> date:
        """The day it belongs to, on its own clock, where days end at the hour `day_ends`."""
        minutes = self.micros // _MINUTE_MICROS + self.offset_minutes - 60 * day_ends
        return date.fromordinal(_EPOCH_DAY + minutes // _DAY_MINUTES)


def start_of(day: date) -> int:
    """The first instant of `day` in UTC, in µs since 1970."""
    return (day.toordinal() - _EPOCH_DAY) * _DAY_MINUTES * _MINUTE_MICROS


class MomentReader:
    """Reads timestamps with `formats`, the first that fits; ValueError says what is wrong.

    `now` is in µs since 1970: what is a day later cannot have been; None: it is not checked.
    """

    def __init__(self, time: Time, formats: Sequence[str] | None = None, now: int | None = None) -> None:
        self._latest = None if now is None else now + AHEAD_SECONDS * SECOND_MICROS
        self._formats = formats_of(time) if formats is None else tuple(formats)
        self._zone = zone_of(time.zone)
        self._zones = {location: zone_of(name) for location, name in time.zones.items()}
        self._abbreviations = time.abbreviations

    def __call__(self, text: str, location: str = "", zone_name: str | None = None) -> ZonedInstant:
        """The moment of `text`, at `location` or in the zone `zone_name` if it has no UTC offset."""
        moment = self._parsed(text)
        if moment.year < EARLIEST_YEAR:
            raise TextError(f"a time from {EARLIEST_YEAR} on", _early_advice(text))
        if moment.tzinfo is None:
            moment = self._at(moment, self._zone_of(location, zone_name))
        found = ZonedInstant(micros(moment), utc_offset_minutes(moment))
        if self._latest is not None and found.micros > self._latest:
            raise TextError(
                "a time that has been", "are its day and month, or its year, read rightly? See time.formats"
            )
        return found

    def readings(self, text: str) -> Mapping[str, datetime]:
        """The formats that can read `text`, and what each of them reads, without regard to zones."""
        found = {}
        for form in self._formats:
            try:
                found[form] = _parse(text, form, self._abbreviations)
            except (ValueError, OverflowError):
                continue  # this format does not fit
        return found

    def _parsed(self, text: str) -> datetime:
        for form in self._formats:
            try:
                return _parse(text, form, self._abbreviations)
            except (ValueError, OverflowError):
                continue  # the next format may fit
        raise TextError(f"a timestamp like {' or '.join(self._formats)}", self._advice(text))

    def _advice(self, text: str) -> str:
        if any("%Z" in form for form in self._formats) and (found := _ABBREVIATION.search(text)):
            name = found[0]
            if name not in self._abbreviations and name not in ("AM", "PM", "UTC", "GMT"):
                return f'say what {name} is: [time.abbreviations] {name} = "+00:00"'
        return 'is it a date of a spreadsheet? Set formats = "excel"' if _EXCEL_RECENT.match(text) else ""

    def _zone_of(self, location: str, name: str | None) -> tzinfo:
        try:
            zone = zone_of(name) if name is not None else self._zones.get(location, self._zone)
        except MappingError as error:
            raise TextError(f"a time in a known time zone ({name!r} is none)") from error
        if zone is None:
            raise TextError("a timestamp with a UTC offset (or set time.zone in the mapping)")
        return zone

    def _at(self, moment: datetime, zone: tzinfo) -> datetime:
        """`moment` on the clocks of `zone`; of an hour that comes twice, the first."""
        aware = moment.replace(tzinfo=zone)
        if aware.utcoffset() != aware.replace(fold=1).utcoffset():
            back = aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
            if back != moment:
                raise TextError(f"a time that there was in {zone}, where clocks were put forward then")
        return aware


def _early_advice(text: str) -> str:
    return 'is it a date of a spreadsheet? Set formats = "excel"' if _EXCEL_RECENT.match(text) else ""


def _parse(text: str, form: str, abbreviations: Mapping[str, str]) -> datetime:
    if form == "iso":
        return datetime.fromisoformat(_BLANK_BEFORE_OFFSET.sub("", text))
    if form == "excel":
        if not _NUMBER.match(text):
            raise ValueError(form)
        seconds = round(Decimal(text) * _DAY_MINUTES * 60)  # whole: the text has fewer digits than the cell
        return _EXCEL_EPOCH + timedelta(seconds=seconds)
    if form in _EPOCH_MICROSECONDS:
        if not _NUMBER.match(text):
            raise ValueError(form)
        return _EPOCH + int(Decimal(text) * _EPOCH_MICROSECONDS[form]) * timedelta(microseconds=1)
    if "%p" in form:
        text = _POINTS.sub(r"\1\2", text)
    if "%Z" in form and (found := _ABBREVIATION.search(text)) and found[0] in abbreviations:
        text = text[: found.start()] + abbreviations[found[0]] + text[found.end() :]
        form = form.replace("%Z", "%z")
    return datetime.strptime(text, form)  # noqa: DTZ007 - the reader adds the zone


def choose_formats(time: Time, texts: Iterable[str], ask: Callable[[str], None]) -> tuple[str, ...]:
    """The formats to read a file's timestamps with: one that reads all of them, if there is one.

    `ask` is told if the file can be read in two ways. Texts that no format reads do not count.
    """
    formats = formats_of(time)
    reader = MomentReader(time)
    read = {text: found for text in texts if (found := reader.readings(text))}
    whole = [form for form in formats if all(form in found for found in read.values())]
    used = tuple(whole) or formats
    for text, found in read.items():
        meant = {form: found[form] for form in used if form in found}
        if len(set(meant.values())) > 1:
            told = " or ".join(f"{moment:%Y-%m-%d %H:%M} ({form})" for form, moment in meant.items())
            ask(f"{text!r} can be read as {told}: leave one of the formats out of time.formats")
            break
    return used[:1] if whole else used
