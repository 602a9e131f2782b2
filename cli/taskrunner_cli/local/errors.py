"""The error that every command of the local stack raises, with a hint at what to do."""


class LocalStackError(Exception):
    """The local stack cannot be started, stopped or read.

    Args:
        message: what is wrong and where.
        cure: what to do about it: a command to type, or a short instruction.

    """

    def __init__(self, message: str, *, cure: str = "") -> None:
        """Keep *message* and *cure* apart, because they are shown differently."""
        super().__init__(message)
        self.message = message
        self.cure = cure
