"""Names of hosts for properties.

They are drawn as texts: Hypothesis draws a pattern sign by sign, which takes four times as long.
"""

from __future__ import annotations

from string import ascii_lowercase, digits
from typing import Final

from hypothesis import strategies as st

_SIGNS: Final = ascii_lowercase + digits
_WORDS = st.builds(str.__add__, st.sampled_from(ascii_lowercase), st.text(_SIGNS, max_size=8))
_ENDS = st.just("") | st.text(_SIGNS, min_size=1, max_size=4).map("-{}".format)
_LABELS = st.builds(str.__add__, _WORDS, _ENDS)
NAMES = st.lists(_LABELS, min_size=2, max_size=5).map(".".join)
