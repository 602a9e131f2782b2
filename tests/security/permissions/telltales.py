"""The texts that no log may hold, by their form: parts of a presigned address, and tokens."""

from __future__ import annotations

import re

SIGNED = re.compile(r"X-Amz-(Signature|Credential|Security-Token)", re.IGNORECASE)
# A JWT by its beginning, the header of the events of events/, and any other header with a token.
BEARER = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.|checked\.by\.authorize|\bBearer [\w-]{5,}")
