"""Market data: bars on disk, in memory and shipped, and what may be read of them when."""
