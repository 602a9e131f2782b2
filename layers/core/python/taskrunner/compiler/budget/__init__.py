"""Stage 7: the worst case of a run in Step Functions, compared with the platform's limits.

history counts one step's part of an execution's history, distribution says which maps need
executions of their own, limits counts a whole run and compares it with the quotas, duration says
how long a run can take, and prices what it costs.
"""
