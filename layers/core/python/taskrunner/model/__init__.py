"""What TaskRunner talks about: packs, plans, runs, approvals. Values and rules, no input or output."""
