"""Every pack in bad/ is rejected with the problems recorded beside it. See README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from tests.golden import cases
from tests.golden.cases import BAD, Case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("case", BAD, ids=cases.name)
def test_rejects_a_bad_pack_with_every_problem(
    case: Case, assert_golden: Callable[[Path, str], None]
) -> None:
    with pytest.raises(InvalidPackError) as rejected:
        compile_pack(case.manifest, case.inputs)

    lines = [f"{problem.path}: {problem.message}\n" for problem in rejected.value.diagnostics]
    assert all(line.count("\n") == 1 for line in lines)
    assert_golden(case.path.with_suffix(".expected.txt"), "".join(lines))
