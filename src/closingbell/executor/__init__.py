"""Where code runs: a handler is bound to its payload and called, on a loop, in a thread or in a process."""
