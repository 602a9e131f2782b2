"""The worker: takes jobs of a pool from the service, and runs each in a folder of its own.

`loop` polls and starts an attempt for each leased job; `attempt` runs it from the lease to the
completion; `lease_keeper` renews the lease meanwhile; `job_folder` and `command` prepare the job;
`job_process` starts it below a supervisor, a process of its own that ends every process of the job;
`output_pump`, `output_stream` and `output_queue` read, redact and send its output; `results` reads
its outputs and uploads its files.
"""
