"""The view of the config file's profiles."""

from collections.abc import Sequence
from typing import TypedDict

from rich.console import RenderableType

from taskrunner_cli.output.formatting import date_time, text
from taskrunner_cli.output.tables import ResultTable


class ProfileDocument(TypedDict):
    """A profile; *signedInUntil* is None if nobody is signed in with it.

    *isRenewed* says whether the next command renews the sign-in, also after it has expired.
    """

    name: str
    apiUrl: str
    isDefault: bool
    signedInUntil: str | None
    isRenewed: bool


def profile_list(profiles: Sequence[ProfileDocument]) -> RenderableType:
    """Return the list of profiles, a row for each."""
    if not profiles:
        return text("no profiles; make one: taskrunner login --api-url URL", "dim")
    table = ResultTable("profile", "api", "default", "signed in until")
    for profile in profiles:
        table.add_row(
            text(profile["name"], "bold"),
            text(profile["apiUrl"]),
            "default" if profile["isDefault"] else "",
            "renewed when used" if profile["isRenewed"] else date_time(profile["signedInUntil"]),
        )
    return table
