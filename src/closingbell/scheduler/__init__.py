"""When: triggers, trading calendars, and the loop that turns firings into runs."""
