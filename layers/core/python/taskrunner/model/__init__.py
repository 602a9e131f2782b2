"""The domain: plans, runs, journals and approvals, as values and rules.

Nothing here calls AWS or the network, or touches files.
"""
