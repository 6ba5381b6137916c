"""The economics of a service: prices and plans in, unit economics out; and whether an author's figures follow.

Pure computation: a `BusinessPlan` (`plan`) becomes tables (`tables`) of figures, each with a name such as
``scenarios.minimal.usd_per_month``; a claim about any of them (`claims`) is held against what was computed.
"""
