"""Metrics, logging and notifications."""
