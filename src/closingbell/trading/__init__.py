"""The desk: what a task's `algorithm` offers."""
