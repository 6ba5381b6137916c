"""Simulated work for rehearsals and the demo."""
