"""The process that an executor runs in, and what it is held to.

Who is who:

* the parent is the Lambda function: it has credentials, and answers what executors ask for
  (sandbox/launcher.py)
* the server is one clean process beside it, without environment, that has imported what executors
  need and forks (server.py): a step costs a fork and not the start of an interpreter
* the child is a fork for one attempt of one step: it limits itself (limits.py, guard.py), executes
  (child.py), and asks the parent for everything else over its one socket (wire.py, remote.py)

Memory, CPU time and open files are limited by the kernel, wall time by the parent, who kills: a
runaway step gets around none of them. That an executor opens no connection and starts no process is
kept by the interpreter's own audit hook, which cannot be taken off again: executors are modules of
this package, and what they are given are parameters, not code. The kernel could keep this as well,
by a filter of system calls; but Lambda refuses a function filters and namespaces of its own.
"""
