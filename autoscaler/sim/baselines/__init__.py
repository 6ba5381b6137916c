"""The autoscalers of others, re-implemented from their published formulas."""
