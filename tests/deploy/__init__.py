"""What deploys the daemon: each file parsed by its own tool, and what it starts started."""
