"""What every room shares: the clock, the errors, ids and metric names. No utilities."""
