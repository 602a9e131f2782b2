"""The domain: plans, runs, journals and approvals, as values and rules.

Nothing here calls AWS or the network. Only `archive` touches files, which it packs into a zip file.
"""
