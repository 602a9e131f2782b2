"""The command line of TaskRunner, a client of its API.

`commands` read options and print results, `output` formats them, `api` calls the service,
`evidence` verifies what it signed, `local` runs it on this machine, and `demo` shows it all.
"""
