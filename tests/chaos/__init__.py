"""Fault simulation: whole days of a daemon, its store and its market, in which everything goes wrong that may."""
