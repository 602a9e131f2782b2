"""Runs a worker with the ports of a session."""

import os

from taskrunner_cli.session import Session
from taskrunner_cli.worker.attempt import Tools
from taskrunner_cli.worker.containers import remove_left_container
from taskrunner_cli.worker.job_folder import remove_left_folders
from taskrunner_cli.worker.loop import Loop
from taskrunner_cli.worker.settings import Settings
from taskrunner_cli.worker.strays import protect_process


def run_worker(session: Session, settings: Settings, *, is_once: bool) -> None:
    """Take and run jobs until the worker is asked to end.

    Raises:
        CommandError: the service refuses the worker, or jobs were stopped.

    """
    clock, screen = session.world.clock, session.screen

    def log(line: str) -> None:
        screen.print_notice(f"{clock.now():%Y-%m-%dT%H:%M:%SZ} {line}")

    tools = Tools(
        settings=settings,
        client=session.worker_client(),
        children=protect_process(),
        clock=clock,
        log=log,
    )
    slots = settings.concurrency
    jobs = "1 job" if slots == 1 else f"{slots} jobs"
    profile = tools.client.profile
    caller = f"{profile.caller} at {profile.api_url}"
    log(f"worker {settings.name}: pool {settings.pool}, {jobs} at a time, as {caller}")
    if os.geteuid() == 0:
        log("warning: this worker runs as root, so its jobs can do anything on this machine")
    if names := remove_left_folders(settings.work_folder):
        for name in names:
            remove_left_container(name, settings)
        left = "1 job" if len(names) == 1 else f"{len(names)} jobs"
        log(f"removed the folder of {left}, which a killed worker has left")
    Loop(tools, session.world.randomness, is_once=is_once).run()
