"""Runs each attempt of a step in a process of its own, within limits.

Three processes take part:

* The parent is the Lambda function. It holds the credentials. `launcher.py` has the servers,
  `server_process.py` starts one and requests its children, and `session.py` sends an attempt to a
  child and answers what the child asks for.
* The server (`server.py`) is one clean process beside the parent. It has no environment, has
  imported every executor, and forks: a step costs a fork instead of the start of an interpreter.
* The child is a fork for one attempt. `child.py` limits itself (`limits.py`, `guard.py`) and runs
  the executor, which reaches everything else through `service_proxies.py`.

`messages.py` defines everything that they send each other, and `channel.py` sends it.

The kernel limits memory, CPU time and open files, and the parent enforces wall time by killing the
child, so a runaway step escapes none of these limits. The interpreter's audit hook, which cannot be
removed, refuses connections and new processes. That is enough because executors are modules of this
package, and packs pass parameters to them, not code. The kernel could enforce it with a filter of
system calls, but Lambda denies functions both filters and namespaces.
"""
