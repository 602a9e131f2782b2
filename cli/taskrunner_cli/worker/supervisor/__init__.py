"""The supervisor: the process above all processes of one job.

It imports nothing of the project outside of this package, and starts without site-packages.
"""
