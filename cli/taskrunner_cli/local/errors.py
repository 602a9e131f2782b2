"""What the local stack refuses, and what to do about it."""


class LocalStackError(Exception):
    """The local stack cannot do as asked.

    Args:
        message: what is wrong, naming the thing and its state.
        cure: what to do about it, as one would type or read it.

    """

    def __init__(self, message: str, *, cure: str = "") -> None:
        """Keep *message* and *cure* apart, so that a screen may show them differently."""
        super().__init__(message)
        self.message = message
        self.cure = cure
