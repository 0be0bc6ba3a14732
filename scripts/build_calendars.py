"""Freeze the trading calendars into one small table that needs no pandas to read.

Source: the `exchange_calendars` package (Apache-2.0) under pandas 2; pandas 3
silently drops special sessions and breaks several calendars, so it is refused.

    python scripts/build_calendars.py                 # write the table and its provenance
    python scripts/build_calendars.py --check         # rebuild in memory, compare, write nothing

The same source and options give the same bytes: entries are sorted, stamps in
the archive are fixed, and no clock is read (`--date` is only written down).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import warnings
import zipfile
from datetime import date
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

FOLDER = Path(__file__).parent.parent / "src" / "closingbell" / "scheduler" / "calendars"
FORMAT = 1
MINUTE_NS = 60 * 10**9
DAY_MIN = 24 * 60
# The package's own names for things that are no venue with a MIC.
RENAMED = {"us_futures": "US_FUTURES"}
# 24/7 needs no table: the runtime computes it.
LEFT_OUT = {"24/7"}


def _known_until(calendar: Any, bound: Any, until: date) -> tuple[date, str]:
    """Say up to which day the source really knows a calendar, and why.

    A calendar with a bound is known up to it. One whose holidays follow rules is
    taken as known up to `until`. One that lists at least three movable holidays
    in a usual year (Idul Fitri, Vesak, ...) is known only as long as that list
    goes on: the first year with less than half of the usual number ends it.
    """
    if bound is not None and bound.date() <= until:
        return bound.date(), "bound of the source"
    if bound is None:
        listed: dict[int, int] = {}
        for day in calendar.adhoc_holidays:
            year = int(str(day)[:4])
            listed[year] = listed.get(year, 0) + 1
        last_full = until.year - 3
        usual = median(listed.get(year, 0) for year in range(last_full - 4, last_full + 1))
        if usual >= 3:
            for year in range(last_full, until.year + 1):
                if listed.get(year, 0) < usual / 2:
                    return date(year - 1, 12, 31), "end of the source's list of movable holidays"
    return until, "holidays by rule"


def _names(rules: Any, first: Any, last: Any) -> dict[date, str]:
    if rules is None or not hasattr(rules, "rules") or not rules.rules:
        return {}
    series = rules.holidays(first, last, return_name=True)
    if not hasattr(series, "items"):
        return {}
    return {stamp.date(): str(name) for stamp, name in series.items() if name}


def _plain(name: str) -> str:
    return "day before Independence Day" if "Before Independence Day" in name else name


def _frozen(name: str, factory: Any, since: date, until: date) -> dict[str, Any]:
    import pandas as pd

    low, high = factory.bound_min(), factory.bound_max()
    first = max(pd.Timestamp(since), low) if low is not None else pd.Timestamp(since)
    last = min(pd.Timestamp(until), high) if high is not None else pd.Timestamp(until)
    calendar = factory(start=first, end=last)
    known_until, reason = _known_until(calendar, high, until)

    schedule = calendar.schedule[: pd.Timestamp(known_until)]
    days = [stamp.date() for stamp in schedule.index]
    midnight = schedule.index.tz_localize("UTC")

    def minutes(column: str) -> list[int | None]:
        result: list[int | None] = []
        for moment, start in zip(schedule[column], midnight, strict=True):
            if pd.isna(moment):
                result.append(None)
                continue
            nanoseconds = (moment - start).value
            if nanoseconds % MINUTE_NS:
                raise SystemExit(f"{name} {start.date()}: {column} is not a whole minute")
            result.append(nanoseconds // MINUTE_NS)
        return result

    hours = list(
        zip(
            *(minutes(c) for c in ("open", "close", "break_start", "break_end")),
            strict=True,
        )
    )
    shapes = sorted(set(hours), key=lambda h: tuple(-1 if x is None else x for x in h))
    index_of = {shape: index for index, shape in enumerate(shapes)}

    regular = _regular_hours(calendar, first.date(), known_until)
    early = {stamp.date() for stamp in calendar.early_closes}
    late = {stamp.date() for stamp in calendar.late_opens}
    mask = [digit == "1" for digit in calendar.weekmask]
    position = {day: index for index, day in enumerate(days)}

    notes: dict[date, str] = {}
    for _, rules in [*calendar.special_closes, *calendar.special_opens]:
        notes.update(_names(rules, first, last))
    holidays = _names(calendar.regular_holidays, first, last)
    labels: dict[date, str] = {
        day: _plain(text) for day, text in notes.items() if day in position and day in early | late
    }
    labels |= {
        day: _plain(text)
        for day, text in holidays.items()
        if first.date() <= day <= known_until and day not in position and mask[day.weekday()]
    }
    texts = sorted(set(labels.values()))

    return {
        "timezone": str(calendar.tz),
        "weekmask": "".join("1" if open_ else "0" for open_ in mask),
        "known_from": first.date().isoformat(),
        "known_until": known_until.isoformat(),
        "known_until_reason": reason,
        "regular": regular,
        "shapes": shapes,
        "gaps": [b.toordinal() - a.toordinal() for a, b in pairwise(days)],
        "first": days[0].isoformat(),
        "hours": [index_of[h] for h in hours],
        "early": sorted(position[d] for d in early if d in position),
        "late": sorted(position[d] for d in late if d in position),
        "texts": texts,
        "labels": [[d.toordinal(), texts.index(labels[d])] for d in sorted(labels)],
    }


def _regular_hours(calendar: Any, first: date, last: date) -> list[list[str | None]]:
    """List the eras of regular local hours: [since, open, close, break start, break end]."""

    def at(pairs: Any, day: date) -> str | None:
        found = None
        for since, clock in pairs or ():
            if since is None or since.date() <= day:
                found = clock
        return None if found is None else found.strftime("%H:%M")

    sources = [
        calendar.open_times,
        calendar.close_times,
        calendar.break_start_times,
        calendar.break_end_times,
    ]
    changes = {first} | {
        since.date()
        for pairs in sources
        for since, _ in pairs or ()
        if since is not None and first < since.date() <= last
    }
    eras: list[list[str | None]] = []
    for day in sorted(changes):
        row: list[str | None] = [day.isoformat(), *(at(pairs, day) for pairs in sources)]
        if not eras or eras[-1][1:] != row[1:]:
            eras.append(row)
    return eras


def build(since: date, until: date) -> tuple[bytes, dict[str, Any]]:
    """Return the archive and what it holds for each calendar."""
    import pandas as pd

    if int(pd.__version__.split(".")[0]) >= 3:
        raise SystemExit(
            f"pandas {pd.__version__} is installed: exchange_calendars loses special sessions "
            "under pandas 3; build with 'pandas<3'"
        )
    warnings.simplefilter("ignore")
    from exchange_calendars.calendar_utils import (
        _default_calendar_aliases,
        _default_calendar_factories,
    )

    tables: dict[str, dict[str, Any]] = {}
    for source_name, factory in sorted(_default_calendar_factories.items()):
        if source_name not in LEFT_OUT:
            name = RENAMED.get(source_name, source_name)
            tables[name] = _frozen(name, factory, since, until)
            print(f"{name}: {len(tables[name]['hours'])} sessions", file=sys.stderr)
    aliases = dict(sorted(_default_calendar_aliases.items()))

    entries = {f"{name.replace('/', '_')}.json": table for name, table in tables.items()}
    entries["index.json"] = {"format": FORMAT, "venues": sorted(tables), "aliases": aliases}
    archive = io.BytesIO()
    content = hashlib.sha256()
    with zipfile.ZipFile(archive, "w") as writer:
        for entry, table in sorted(entries.items()):
            text = json.dumps(table, separators=(",", ":"), sort_keys=True).encode()
            content.update(entry.encode() + b"\0" + text + b"\0")
            info = zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            writer.writestr(info, text, compresslevel=9)
    ranges = {
        name: {
            "sessions": len(table["hours"]),
            "from": table["known_from"],
            "until": table["known_until"],
            "until_because": table["known_until_reason"],
        }
        for name, table in tables.items()
    }
    return archive.getvalue(), {"content_sha256": content.hexdigest(), "calendars": ranges}


def main() -> int:
    """Build, then write or compare; the exit code is 1 if `--check` finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="since", type=date.fromisoformat, default=date(1990, 1, 1))
    parser.add_argument("--until", type=date.fromisoformat, default=date(2028, 12, 31))
    parser.add_argument("--date", default="", help="the day of the build, for the record")
    parser.add_argument(
        "--check", action="store_true", help="compare with the table, write nothing"
    )
    options = parser.parse_args()

    archive, record = build(options.since, options.until)
    source = version("exchange_calendars")
    provenance = {
        "title": "Trading sessions of the world's exchanges, frozen",
        "version": f"{source}-{record['content_sha256'][:8]}",
        "sha256": hashlib.sha256(archive).hexdigest(),
        "content_sha256": record["content_sha256"],
        "source": f"exchange_calendars {source}",
        "source_home": "https://github.com/gerrymanoim/exchange_calendars",
        "licence": "Apache-2.0",
        "built_with": {
            "pandas": version("pandas"),
            "tzdata": version("tzdata"),
        },
        "built_on": options.date,
        "command": "python scripts/build_calendars.py "
        f"--from {options.since} --until {options.until} --date {options.date or 'YYYY-MM-DD'}",
        "calendars": record["calendars"],
    }
    target, notes = FOLDER / "sessions.zip", FOLDER / "PROVENANCE.json"
    if options.check:
        stored = json.loads(notes.read_text(encoding="utf-8"))
        same = stored["content_sha256"] == provenance["content_sha256"]
        print(
            "the table is what this source gives" if same else "the table differs from its source"
        )
        return 0 if same else 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    target.write_bytes(archive)
    notes.write_text(json.dumps(provenance, indent=1) + "\n", encoding="utf-8")
    print(f"{target.name}: {len(record['calendars'])} calendars, {len(archive) / 1024:.0f} KB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
