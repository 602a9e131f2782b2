"""What TaskRunner talks about: plans, runs, approvals. Values and rules, no input or output."""
