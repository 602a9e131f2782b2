"""Runs a leased job: from the lease over its processes and files to the completion."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taskrunner_cli.api.worker_client import Leased, WorkerClient
from taskrunner_cli.api.worker_documents import Completion
from taskrunner_cli.errors import CommandError
from taskrunner_cli.ports.clock import Clock
from taskrunner_cli.redaction import Redactor, new_redactor
from taskrunner_cli.worker.command import plain_command
from taskrunner_cli.worker.containers import container_command, remove_left_container
from taskrunner_cli.worker.endings import CANCELLED, failed, failure, stopped, usage
from taskrunner_cli.worker.final_report import FinalReport
from taskrunner_cli.worker.job import Job, JobError, read_job
from taskrunner_cli.worker.job_folder import OUTPUTS, JobFolder, job_folder
from taskrunner_cli.worker.job_process import JobProcess
from taskrunner_cli.worker.lease_keeper import LeaseKeeper
from taskrunner_cli.worker.output_pump import KeptOutput, OutputPump
from taskrunner_cli.worker.output_queue import OutputQueue
from taskrunner_cli.worker.reports import Reports
from taskrunner_cli.worker.results import FoundFile, read_outputs
from taskrunner_cli.worker.settings import MIB, Settings
from taskrunner_cli.worker.strays import Children
from taskrunner_cli.worker.supervisor.orders import Order, Report
from taskrunner_cli.worker.uploads import Uploads

_WORKER_STOPPED: Final = "the worker was stopped"
_DRAIN_TIMEOUT_S: Final = 10.0
_MAX_MESSAGE_CHARACTERS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The parts of a worker that its attempts share."""

    settings: Settings
    client: WorkerClient
    children: Children
    clock: Clock
    log: Callable[[str], None]


class Attempt:
    """One attempt of a step, which this worker has leased."""

    def __init__(self, tools: Tools, leased: Leased) -> None:
        self._tools = tools
        self._lease = leased.lease
        self._queue = OutputQueue()
        reports = Reports(self._log)
        self._keeper = LeaseKeeper(tools.client, leased, self._queue, tools.clock, reports)
        self._stopping = threading.Event()
        self._report = FinalReport(tools.client, leased.lease, tools.clock, reports)
        run = leased.lease["run"]["id"]
        self.name: Final = f"{run} {leased.lease['stepId']} attempt {leased.lease['attempt']}"

    def give_back(self) -> None:
        """Stop the job, and let the service offer it again."""
        self._keeper.give_back(_WORKER_STOPPED)
        self._stopping.set()

    def run(self) -> str:
        """Run the job and report its end; return the attempt's status, empty if it was lost."""
        self._log("leased")
        self._keeper.start()
        try:
            redactor = new_redactor(self._lease.get("secrets", {}))
        except CommandError as error:
            return self._complete(failed(error.message))
        try:
            with job_folder(self._tools.settings.work_folder) as folder:
                return self._complete(self._redacted(self._run_in(folder, redactor), redactor))
        except (OSError, ValueError) as error:  # a full disk, or text that is not Unicode
            reason = getattr(error, "strerror", None) or type(error).__name__
            return self._complete(failed(f"the worker cannot run the job: {reason}"))
        finally:
            self._keeper.close()

    def _run_in(self, folder: JobFolder, redactor: Redactor) -> Completion:
        """Return the completion of the job, after the upload of its files."""
        uploads = Uploads(self._tools.client, self._lease, redactor, self)
        try:
            job = read_job(self._lease)
            self._check_memory(job)
            folder.fill(job)
            for artifact in job.artifacts:
                folder.fetch(artifact, self.check)
            self.check()
            report = self._execute(job, folder, redactor)
        except JobError as error:
            return stopped(self._keeper.stop) if self._keeper.stop else failed(str(error))
        if self._keeper.stop:
            completion = stopped(self._keeper.stop)
        else:
            completion = self._results(failure(report, job, self._tools.settings), folder, uploads)
        if report:
            completion["usage"] = usage(report)
        return completion

    def _results(
        self, completion: Completion | None, folder: JobFolder, uploads: Uploads
    ) -> Completion:
        """Return the completion with the job's outputs and files; they may make it fail."""
        try:
            others = uploads.send_files(folder)
            for path in others:
                note = f"worker: output/{path} is not a regular file, so it is not uploaded\n"
                self._queue.put("stderr", note)
            if self._queue.is_cut:
                uploads.send_output(folder)
            if completion is None:
                outputs = read_outputs(FoundFile(folder.work, OUTPUTS), uploads.redactor)
                completion = {"status": "succeeded", "outputs": outputs}
        except JobError as error:
            if self._keeper.stop:
                return stopped(self._keeper.stop)
            earlier = f"{completion['message']}; " if completion else ""
            completion = failed(f"{earlier}{error}")
        if uploads.files:
            completion["artifacts"] = uploads.files
        return completion

    def _execute(self, job: Job, folder: JobFolder, redactor: Redactor) -> Report | None:
        """Run the job's command to the end of its last process."""
        compose = container_command if job.image else plain_command
        settings = self._tools.settings
        command = compose(job, self._lease, folder, settings)
        order = Order(
            command=command.words,
            environment=command.environment,
            folder=str(folder.work),
            timeout_s=job.timeout_s,
            grace_s=settings.grace_s,
            # The container tool limits the container, which is not below the supervisor.
            memory_bytes=0 if job.image else self._memory_mib(job) * MIB,
            max_processes=0 if job.image else settings.max_processes,
            file_bytes=settings.max_file_mib * MIB,
            inspection=command.inspection,
            cleanup=command.cleanup,
            cleanup_environment=command.environment if command.cleanup else {},
            remove=str(folder.root),
        )
        kept = KeptOutput(folder.whole_output)
        pump = OutputPump(redactor, self._queue, kept)
        try:
            output, errors = pump.start()
            process = JobProcess(self._tools.children, order, output, errors)
            self._keeper.on_stop(process.stop)
            report = process.wait()
            if report is None:
                remove_left_container(folder.root.name, settings)
            pump.finish(_DRAIN_TIMEOUT_S)
        finally:
            kept.close()
        return report

    def _memory_mib(self, job: Job) -> int:
        return job.memory_mib or self._tools.settings.memory_mib

    def _check_memory(self, job: Job) -> None:
        limit = self._tools.settings.memory_mib
        if job.memory_mib > limit:
            raise JobError(f"it asks for {job.memory_mib} MiB, but this worker has {limit} MiB")

    def _redacted(self, completion: Completion, redactor: Redactor) -> Completion:
        """Return the completion without secrets in its message and its outputs."""
        if "message" in completion:
            message = completion["message"].encode("utf-8", "replace").decode()
            completion["message"] = redactor.text(message)[:_MAX_MESSAGE_CHARACTERS]
        if "outputs" in completion:
            outputs = redactor.json(completion["outputs"])
            completion["outputs"] = outputs if isinstance(outputs, dict) else {}
        return completion

    def _complete(self, completion: Completion) -> str:
        """Report the end, with the rest of the output; return the attempt's status."""
        if output := self._keeper.last_output():
            completion["output"] = output
        self._keeper.close()
        status, message = "", completion.get("message", "")
        if not self._keeper.is_lost:
            status = self._report.send(completion, lambda: self._keeper.report_until_s)
        match status:
            case "":
                reason = self._keeper.stop.reason if self._keeper.stop else "the lease was lost"
                self._log(f"given up: {reason}")
            case "Pending":
                self._log(f"given back: {_WORKER_STOPPED}")
            case "Skipped":
                self._log(CANCELLED)
            case _:
                self._log(f"{status.lower()}{message and ': ' + message}")
        return status

    def _log(self, line: str) -> None:
        self._tools.log(f"{self.name}: {line}")

    def check(self) -> None:
        """Continue with the job's files.

        Raises:
            JobError: the job must stop.

        """
        if self._keeper.stop:
            raise JobError(f"the job was stopped: {self._keeper.stop.reason}")

    def pause(self, seconds: float) -> None:
        """Wait before another try.

        Raises:
            JobError: the job must stop.

        """
        self._stopping.wait(seconds)
        self.check()
