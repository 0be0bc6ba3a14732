"""Alembic revisions of the one schema."""
