"""Demand readers: one module per way a queue lies in Redis. Sans-IO: they build commands and parse replies."""
