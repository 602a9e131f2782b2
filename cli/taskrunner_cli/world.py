"""The object that holds every port of the command line; a test passes its own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from taskrunner_cli.ports.browser import Browser, SystemBrowser
from taskrunner_cli.ports.clock import Clock, SystemClock
from taskrunner_cli.ports.local_stack import CloneLocalStack, LocalStack
from taskrunner_cli.ports.randomness import Randomness, SystemRandomness


@dataclass(frozen=True, kw_only=True)
class World:
    """The environment variables, the clock, randomness, the local stack and the web browser."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = field(default_factory=SystemClock)
    randomness: Randomness = field(default_factory=SystemRandomness)
    local: LocalStack = field(default_factory=CloneLocalStack)
    browser: Browser = field(default_factory=SystemBrowser)
