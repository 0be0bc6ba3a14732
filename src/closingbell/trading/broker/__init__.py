"""Brokers: who takes an account's orders, and how they become fills."""
