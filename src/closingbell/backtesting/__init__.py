"""Backtests of an app: its tasks, schedules and accounts, handed to a simulation as values."""
