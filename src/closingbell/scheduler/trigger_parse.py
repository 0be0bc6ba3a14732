"""From a task's options, or from stored JSON, to a trigger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from datetime import time as ClockTime  # noqa: N812

from closingbell.core.error import TriggerError, near_name
from closingbell.core.trigger import Trigger
from closingbell.scheduler.cron import Cron
from closingbell.scheduler.daily import Daily
from closingbell.scheduler.interval import Every
from closingbell.scheduler.once import At
from closingbell.scheduler.trigger_text import format_time, parse_time_of_day

# Words of `interval=` that name a day, and so take `time=`.
_DAY_WORDS = ("daily", "weekdays", "weekly", "monthly", "quarterly", "yearly")
_REAL_TIME_WORDS = ("hourly", "minutely", "secondly")


def parse_trigger(
    interval: str | timedelta | Every | None = None,
    time: str | ClockTime | None = None,
    cron: str | Cron | None = None,
    session: str | Trigger | None = None,
    at: datetime | date | str | At | None = None,
    day: str | int | None = None,
    timezone: str = "UTC",
) -> Trigger | None:
    """Read the timing options of a task.

    Args:
        interval: '5m' and the like for a grid in real time; 'hourly', 'minutely'; or
            'daily', 'weekdays' (Monday to Friday), 'weekly' (Monday), 'monthly',
            'quarterly', 'yearly' (the first day), at `time`.
        time: local time of day; alone it means daily. Default for those words: 00:00.
        cron: a cron expression.
        session: a rule of `Session`.
        at: one instant; naive means local.
        day: the weekday(s) of a weekly or daily task ('FRI', 'MON-FRI'), or the day of
            a monthly one (1 to 31, 'first', 'last').
        timezone: the IANA zone of all local times.

    Returns:
        The trigger; None if no option is given.

    Raises:
        TriggerError: an option cannot be read, or two of them contradict each other.
        TimezoneError: the zone is unknown.
        CalendarError: a venue is unknown.
    """
    given = {
        name: value
        for name, value in (
            ("interval", interval),
            ("cron", cron),
            ("session", session),
            ("at", at),
        )
        if value is not None
    }
    if len(given) > 1:
        raise TriggerError(
            "schedule",
            _shown(given),
            "one of interval= (with time=), cron=, session= and at=: two schedules of one "
            "task are two app.schedule(...) calls",
        )
    extra = {name: value for name, value in (("time", time), ("day", day)) if value is not None}
    kind = next(iter(given), None)
    if kind in ("cron", "session", "at") and extra:
        raise TriggerError(
            "schedule",
            _shown({**given, **extra}),
            f"{kind}= alone: it says the time and day itself",
        )
    if cron is not None:
        return cron if isinstance(cron, Cron) else Cron(cron, timezone)
    if session is not None:
        return _session(session)
    if at is not None:
        return at if isinstance(at, At) else At(at, timezone)
    if isinstance(interval, str) and interval.strip().lower() in _DAY_WORDS:
        return _on_days(interval.strip().lower(), time, day, timezone)
    if interval is not None:
        return _in_real_time(interval, given, extra, timezone)
    if time is not None:
        return _on_days("monthly" if _is_month_day(day) else "daily", time, day, timezone)
    if day is not None:
        raise TriggerError("schedule", _shown(extra), "day= together with time= or interval=")
    return None


def _shown(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _session(given: str | Trigger) -> Trigger:
    from closingbell.scheduler.session import Session

    if isinstance(given, Session):
        return given
    return Session(given)  # type: ignore[arg-type]


def _in_real_time(
    interval: str | timedelta | Every,
    given: Mapping[str, object],
    extra: Mapping[str, object],
    timezone: str,
) -> Trigger:
    if extra:
        raise TriggerError(
            "schedule",
            _shown({**given, **extra}),
            "time= and day= only with interval='daily', 'weekly' or 'monthly': "
            "an interval such as '5m' runs around the clock",
        )
    if isinstance(interval, Every):
        return interval
    if isinstance(interval, str) and interval.strip().isalpha():
        word = interval.strip().lower()
        if word not in _REAL_TIME_WORDS:
            near = near_name(word, (*_DAY_WORDS, *_REAL_TIME_WORDS))
            hint = f"; did you mean {near!r}?" if near else ""
            raise TriggerError(
                "interval",
                interval,
                f"'5m', '1h30m', {', '.join(map(repr, (*_REAL_TIME_WORDS, *_DAY_WORDS)))}{hint}",
            )
    return Every(interval, timezone=timezone)


def _is_month_day(day: object) -> bool:
    if isinstance(day, str):
        return day.strip().isdigit() or day.strip().lower() in ("first", "last")
    return isinstance(day, int)


def _on_days(
    word: str, time: str | ClockTime | None, day: str | int | None, timezone: str
) -> Trigger:
    clock = parse_time_of_day("00:00" if time is None else time)
    shown = _shown({"interval": word, "day": day})
    if word in ("quarterly", "yearly"):
        if day is not None:
            raise TriggerError("schedule", shown, "no day=: it is the first day; else use cron=")
        if clock.microsecond:
            raise TriggerError("time", format_time(clock), "whole seconds")
        months = "1,4,7,10" if word == "quarterly" else "1"
        seconds = f"{clock.second} " if clock.second else ""
        return Cron(f"{seconds}{clock.minute} {clock.hour} 1 {months} *", timezone)
    if word == "monthly":
        if day is not None and not _is_month_day(day):
            raise TriggerError("schedule", shown, "day=1 to 31, 'first' or 'last'")
        return Daily(clock, timezone, day_of_month=1 if day is None else day)
    if _is_month_day(day):
        raise TriggerError(
            "schedule", shown, "weekdays such as day='FRI'; 'monthly' takes a number"
        )
    days = None if day is None else str(day)
    if days is None and word != "daily":
        days = "MON" if word == "weekly" else "MON-FRI"
    elif word == "weekdays":
        raise TriggerError("schedule", shown, "no day=: 'weekdays' is Monday to Friday")
    return Daily(clock, timezone, days)


def _session_from(rule: str, outside: str = "clamp") -> Trigger:
    from closingbell.scheduler.session import Session

    return Session(rule, outside=outside)


_KINDS: dict[str, Callable[..., Trigger]] = {
    "every": Every,
    "daily": Daily,
    "cron": Cron,
    "at": At,
    "session": _session_from,
}


def trigger_from_dict(values: object) -> Trigger:
    """Read what a trigger's `to_dict` wrote; the result equals that trigger.

    Raises:
        TriggerError: the kind or a key is unknown or missing, or a value cannot be.
        TimezoneError: this machine's tz database lacks the zone.
        CalendarError: this process lacks the venue (its overrides file is not loaded).
    """
    kind = values.get("kind") if isinstance(values, Mapping) else None
    make = _KINDS.get(kind) if isinstance(kind, str) else None
    if make is None or not isinstance(values, Mapping):
        raise TriggerError("trigger", str(values), f"a 'kind' of {', '.join(_KINDS)}")
    try:
        return make(**{key: value for key, value in values.items() if key != "kind"})
    except TypeError as problem:
        raise TriggerError("trigger", str(values), f"the keys of to_dict() ({problem})") from None
