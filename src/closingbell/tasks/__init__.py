"""Ready task libraries."""
