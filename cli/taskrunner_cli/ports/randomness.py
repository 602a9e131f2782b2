"""Randomness, as a port: tests replace it, so that they know what is sent and when."""

import random
import secrets
from typing import Protocol


class Randomness(Protocol):
    """A source of random fractions and of keys that nobody else has."""

    def fraction(self) -> float:
        """Return a number from 0 up to 1, 1 excluded."""

    def key(self) -> str:
        """Return a key that no other call has returned, in letters and digits."""


class SystemRandomness:
    """The machine's randomness."""

    def fraction(self) -> float:
        """Return a number from 0 up to 1, 1 excluded."""
        return random.random()  # noqa: S311 -- it spreads requests, and is not a secret

    def key(self) -> str:
        """Return a key of 128 random bits."""
        return secrets.token_hex(16)
