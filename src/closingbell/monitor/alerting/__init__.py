"""Alerting: which alerts there must be, and who is told. Pure: facts in, a plan out."""
