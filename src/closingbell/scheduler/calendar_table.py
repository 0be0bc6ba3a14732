"""The frozen table of sessions that `scripts/build_calendars.py` writes."""

from __future__ import annotations

from array import array
from datetime import date, time
from itertools import accumulate
from typing import IO, Any

from closingbell.core.error import CalendarError
from closingbell.scheduler.calendar import DAY_S, EPOCH_ORDINAL, Calendar, RegularHours

_FORMAT = 1


class CalendarTable:
    """The archive, checked against its checksum once; a venue is decoded on demand.

    Attributes:
        version: source version and content digest, '4.13.2-c285ec41'.
        venues: the names of the calendars in it.
        aliases: other names of venues, such as 'NYSE' for 'XNYS'.

    Raises:
        CalendarError: the archive is missing, damaged, or of another format.
    """

    def __init__(self) -> None:
        import hashlib
        import io
        import json
        import zipfile
        from importlib.resources import files

        folder = files("closingbell.scheduler") / "calendars"
        try:
            archive = (folder / "sessions.zip").read_bytes()
            record = json.loads((folder / "PROVENANCE.json").read_text(encoding="utf-8"))
        except OSError as problem:
            raise CalendarError("*", f"the calendar table cannot be read: {problem}") from None
        if hashlib.sha256(archive).hexdigest() != record["sha256"]:
            raise CalendarError(
                "*",
                "the calendar table is damaged (its sha256 differs from PROVENANCE.json): "
                "install closingbell again",
            )
        self._archive = zipfile.ZipFile(io.BytesIO(archive))
        with self._open("index.json") as stream:
            index = json.load(stream)
        if index["format"] != _FORMAT:
            raise CalendarError(
                "*", f"the calendar table has format {index['format']}, this code reads {_FORMAT}"
            )
        self.version: str = record["version"]
        self.venues: tuple[str, ...] = tuple(index["venues"])
        self.aliases: dict[str, str] = index["aliases"]

    def _open(self, entry: str) -> IO[bytes]:
        return self._archive.open(entry)

    def calendar(self, venue: str) -> Calendar:
        """Decode the calendar of a venue of `venues`."""
        import json

        with self._open(f"{venue.replace('/', '_')}.json") as stream:
            return _decoded(venue, json.load(stream), self.version)


def _decoded(venue: str, table: dict[str, Any], version: str) -> Calendar:
    first = date.fromisoformat(table["first"]).toordinal()
    dates = array("l", accumulate(table["gaps"], initial=first))
    midnights = [(ordinal - EPOCH_ORDINAL) * DAY_S for ordinal in dates]
    shapes = table["shapes"]
    hours = table["hours"]
    open_s = [shape[0] * 60 for shape in shapes]
    close_s = [shape[1] * 60 for shape in shapes]
    breaks: dict[int, tuple[int, int]] = {}
    if any(shape[2] is not None for shape in shapes):
        break_s = [None if shape[2] is None else (shape[2] * 60, shape[3] * 60) for shape in shapes]
        for index, hour in enumerate(hours):
            pause = break_s[hour]
            if pause is not None:
                midnight = midnights[index]
                breaks[index] = (midnight + pause[0], midnight + pause[1])
    texts = table["texts"]
    return Calendar(
        venue=venue,
        timezone=table["timezone"],
        known_from=date.fromisoformat(table["known_from"]),
        known_until=date.fromisoformat(table["known_until"]),
        weekdays=frozenset(day for day, mark in enumerate(table["weekmask"]) if mark == "1"),
        version=version,
        dates=dates,
        opens=array("q", [m + open_s[h] for m, h in zip(midnights, hours, strict=True)]),
        closes=array("q", [m + close_s[h] for m, h in zip(midnights, hours, strict=True)]),
        breaks=breaks,
        early=frozenset(table["early"]),
        late=frozenset(table["late"]),
        notes={ordinal: texts[text] for ordinal, text in table["labels"]},
        regular=tuple(_era(row) for row in table["regular"]),
    )


def _era(row: list[str | None]) -> RegularHours:
    since, opened, closed, break_start, break_end = row
    return RegularHours(
        since=date.fromisoformat(since or ""),
        open=time.fromisoformat(opened or ""),
        close=time.fromisoformat(closed or ""),
        break_start=None if break_start is None else time.fromisoformat(break_start),
        break_end=None if break_end is None else time.fromisoformat(break_end),
    )
