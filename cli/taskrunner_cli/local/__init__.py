"""The local stack: an emulator of AWS on this machine, holding the project's template."""

from taskrunner_cli.local.clients import Client
from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.stack import Stack, Status, down, load, status, up

__all__ = ["Client", "LocalStackError", "Stack", "Status", "down", "load", "status", "up"]
