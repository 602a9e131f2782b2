"""The person's web browser, as a port."""

from typing import Protocol


class Browser(Protocol):
    """Shows web pages."""

    def show(self, url: str) -> bool:
        """Show the page at *url*; return whether a browser was found."""


class SystemBrowser:
    """The machine's browser."""

    def show(self, url: str) -> bool:
        """Show the page at *url*; return whether a browser was found."""
        import webbrowser  # noqa: PLC0415 -- for one command only

        return webbrowser.open(url)
