"""A large file passes through a function without being held in its memory."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.template import ROOT
from tests.unit.adapters.s3_stand_in import s3_stand_in

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 500 * 1024 * 1024

# Stores and fetches a file of argv[3] bytes in the folder argv[2], and prints by how many KiB the
# process has grown. A small file comes first, so that the modules that botocore loads do not count.
GROWTH = """
import json, resource, sys
from pathlib import Path
from tests.unit.adapters.s3_stand_in import client
from taskrunner.adapters.bucket import Bucket
from taskrunner.adapters.retention import Retention
from taskrunner.adapters.table import Table

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

url, folder, size = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
bucket = Bucket(client(url), "runs")
measured = {}
for name, size_bytes in (("small", 1000), ("large", size)):
    before = peak()
    file, back = folder / name, folder / f"{name}.back"
    with file.open("wb") as sparse:
        sparse.truncate(size_bytes)
    stored = bucket.put_file(lambda _: f"acme/{name}", file, "text/plain", "retention=run")
    assert bucket.fetch(f"acme/{name}", back)
    measured[name] = [stored.size_bytes, stored.sha256, back.stat().st_size, peak() - before]
print(json.dumps(measured))
"""


def test_stores_and_fetches_500_mib_within_a_few_mib_of_memory(tmp_path: Path) -> None:
    with s3_stand_in() as s3:
        done = subprocess.run(  # noqa: S603 - every word is ours
            [sys.executable, "-c", GROWTH, s3.url, str(tmp_path), str(LARGE)],
            env={"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            check=True,
            capture_output=True,
            text=True,
            timeout=500,
        )

    size_bytes, sha256, fetched_bytes, growth_kib = json.loads(done.stdout)["large"]
    assert size_bytes == fetched_bytes == s3.sizes["/runs/acme/large"] == LARGE
    assert s3.checksums["/runs/acme/large"] == base64.b64encode(bytes.fromhex(sha256)).decode()
    assert growth_kib < 24 * 1024
