"""How fast and how small the daemon is, against its targets. ``python -m tests.benchmarks`` prints the table."""
