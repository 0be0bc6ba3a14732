"""Making it happen: claim, attempt, settle, keep alive, rescue."""
