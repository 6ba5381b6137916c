"""The shell: clock, loop, observation, execution, supervision. Knows no concrete adapter."""
