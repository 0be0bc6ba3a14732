"""The same app on a simulated clock: backtests."""
