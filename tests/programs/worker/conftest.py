"""The fixtures of a worker."""

from tests.worker_fixtures import run_once, service, settings, start_worker

__all__ = ["run_once", "service", "settings", "start_worker"]
