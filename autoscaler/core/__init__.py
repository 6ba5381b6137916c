"""The pure core: values and functions over them. No IO, no clock, no randomness, no asyncio, no logging."""
