from __future__ import annotations

import subprocess
import sys

SOURCE = """
import sys
from taskrunner import pydantic_plugins
pydantic_plugins.find_none()
from pydantic import BaseModel
class Pack(BaseModel):
    name: str
print(Pack.model_validate({"name": "a"}).name, "importlib.metadata" in sys.modules)
"""


def test_models_work_without_a_search_for_plugins() -> None:
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", SOURCE], check=True, capture_output=True, text=True
    )

    assert done.stdout == "a False\n"
