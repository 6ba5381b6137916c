"""Simulations to look at: HTML files that open offline."""
