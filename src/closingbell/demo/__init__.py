"""The demo: a small trading desk over real prices, on an accelerated clock and one SQLite file."""
