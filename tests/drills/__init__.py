"""Real processes under fire: each module states a promise of the daemon's and proves it from outside."""
