"""The actions of TaskRunner, one module for each verb.

The functions reach the outside world only through the ports they are given. Some are parts of other
actions: call_policy, decide_policy, capture_files and seal_run.
"""
