"""The structured log in CloudWatch: JSON lines that contain no secret and no token."""

from __future__ import annotations

from aws_lambda_powertools import Logger

# The deployment sets POWERTOOLS_SERVICE_NAME and POWERTOOLS_LOG_LEVEL.
logger = Logger()
