"""The person's web browser, as a port."""

from typing import Protocol
from urllib.parse import urlsplit

from taskrunner_cli.errors import UsageError


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


def show_page(browser: Browser, url: str) -> bool:
    """Show the page at *url*, which a service or a file may have named; return as `Browser.show`.

    Raises:
        UsageError: it is not a web page; browsers also open files and start other programs.

    """
    try:
        is_page = urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        is_page = False
    if not is_page:
        raise UsageError(
            f"{url} is not the address of a web page", cure="check who named this address"
        )
    return browser.show(url)
