"""A page of another origin uses the API from a browser.

The local stack allows every origin. `tests/architecture/test_origins.py` checks what a deployment
allows by default, which is none.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.packs import pack
from tests.stack.api import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api

ORIGIN = {"Origin": "https://portal.example.com"}
PACK = pack(
    "- {id: build, run: {uses: builtin:build}}",
    spec="outputs: [{name: zip, type: file, path: /output/bundle.zip}]",
    name="for-a-page",
)
PATHS = ("/v1/task-runner/runs", "/v1/task-runner/runs/run-1/artifacts/zip", "/openapi", "/unknown")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_learns_that_it_may_call(stack: Stack, path: str) -> None:
    question = {
        **ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stellaops-tenant",
    }

    answer = httpx.options(stack.api_url + path, headers=question, timeout=PATIENCE_S)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"].split(",")
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(",")
    assert set(question["Access-Control-Request-Headers"].split(",")) <= set(allowed)


def test_a_page_may_read_answers_and_errors(operator: Api) -> None:
    answers = [
        operator("GET", "runs", headers=ORIGIN),
        operator("GET", "runs/no-such-run", headers=ORIGIN),
        operator("GET", "runs", headers={**ORIGIN, "Authorization": "Bearer nonsense"}),
        operator.http.get(f"{operator.stack.api_url}/v1/task-runner/unknown", headers=ORIGIN),
        operator.http.delete(f"{operator.stack.api_url}/v1/task-runner/runs", headers=ORIGIN),
    ]

    assert [answer.status_code for answer in answers] == [200, 404, 401, 404, 405]
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {"*"}
    assert "WWW-Authenticate" in answers[2].headers["Access-Control-Expose-Headers"]
    assert "Allow" in answers[4].headers["Access-Control-Expose-Headers"]


@contextmanager
def page() -> Iterator[str]:
    """Serve an empty page at an origin of its own, and yield its address."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>portal</title>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Empty)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_SCRIPT = """
async ([api, token, manifest]) => {
  const headers = {'Authorization': `Bearer ${token}`, 'Content-Type': 'application/json'};
  const call = async (path, more) => {
    for (;;) {
      const answer = await fetch(`${api}/v1/task-runner/${path}`, {headers, ...more});
      if (![429, 503].includes(answer.status)) return answer;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  const body = JSON.stringify({manifest, inputs: {}});
  const created = await call('runs', {method: 'POST', body});
  const location = created.headers.get('Location');
  const {runId} = await created.json();
  let state, tag;
  do {
    const answer = await call(`runs/${runId}`);
    tag = answer.headers.get('ETag');
    state = await answer.json();
  } while (['queued', 'running'].includes(state.status));
  const {url} = await (await call(`runs/${runId}/artifacts/zip?redirect=false`)).json();
  const file = await (await fetch(url)).arrayBuffer();
  return {status: state.status, bytes: file.byteLength, location, tag};
}
"""


def test_a_page_creates_a_run_and_reads_its_artifact(
    visitors: BrowserContext, operator: Api
) -> None:
    with page() as address:
        tab = visitors.new_page()
        tab.goto(address)
        given = [operator.stack.api_url, operator.token, PACK]
        result = tab.evaluate(_SCRIPT, given)
        tab.close()

    assert result["status"] == "succeeded"
    assert result["bytes"] > 100
    assert result["location"].startswith(operator.stack.api_url)
    assert result["tag"]
