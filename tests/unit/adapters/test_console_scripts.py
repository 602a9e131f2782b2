"""The console's scripts are joined as modules would run, and unknown forms are refused."""

from __future__ import annotations

import pytest

from taskrunner.adapters.console_scripts import join_scripts

WORDS = """/** Words. */

const END = '.';

export const HELLO = 'hello';
export class Word {}
export function say(word) {
  return word + END;
}
export async function shout() {}
export function* spell(word) {
  yield* word;
}
"""
LOUD = """import { HELLO, say } from './words.js';

const END = '!';
console.log(say(HELLO) + END);
"""
JOINED = """const $_words = (() => {
/** Words. */

const END = '.';

const HELLO = 'hello';
class Word {}
function say(word) {
  return word + END;
}
async function shout() {}
function* spell(word) {
  yield* word;
}

return { HELLO, Word, say, shout, spell };
})();
const $_loud = (() => {
const { HELLO, say } = $_words;

const END = '!';
console.log(say(HELLO) + END);

return {  };
})();
"""


def test_joins_a_script_after_those_that_it_imports() -> None:
    scripts = {"loud.js": LOUD, "words.js": WORDS, "unused.js": "stop();\n", "a.css": "a {}"}

    assert join_scripts(scripts, "loud.js") == JOINED


def test_joins_each_script_once_and_takes_names_over_several_lines() -> None:
    scripts = {
        "main.js": "import './a-part.js';\nimport {\n  a,\n  b,\n} from './b.js';\n",
        "a-part.js": "import { b } from './b.js';\n",
        "b.js": "export const a = 1;\nexport const b = 2;\n",
    }

    joined = join_scripts(scripts, "main.js")

    assert joined.count("const a = 1;") == 1
    assert "const $_a_part = (() => {\nconst { b } = $_b;" in joined
    assert "const {\n  a,\n  b,\n} = $_b;" in joined
    assert "import" not in joined


@pytest.mark.parametrize(
    "line",
    [
        "import * as words from './words.js';",
        "import { say as speak } from './words.js';",
        "import words from './words.js';",
        "import { h } from 'https://example.com/h.js';",
        "export default 1;",
        "export let count = 0;",
        "export { say };",
    ],
)
def test_refuses_an_unknown_form(line: str) -> None:
    with pytest.raises(ValueError, match=r"main\.js has an import or export in an unknown form"):
        join_scripts({"main.js": f"{line}\n", "words.js": WORDS}, "main.js")


def test_refuses_scripts_that_import_each_other() -> None:
    scripts = {"a.js": "import './b.js';\n", "b.js": "import './a.js';\n"}

    with pytest.raises(ValueError, match=r"a\.js imports itself by way of a\.js, b\.js"):
        join_scripts(scripts, "a.js")


def test_refuses_a_missing_script() -> None:
    with pytest.raises(KeyError, match=r"none\.js"):
        join_scripts({"main.js": "import './none.js';\n"}, "main.js")
