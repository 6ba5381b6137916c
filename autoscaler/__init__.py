"""gpu-autoscaler: the right number of rented GPU machines behind a Redis job queue."""
