"""The structured log that operators read in CloudWatch: JSON lines, with no secret and no token."""

from __future__ import annotations

from aws_lambda_powertools import Logger

# POWERTOOLS_SERVICE_NAME and POWERTOOLS_LOG_LEVEL are the deployment's.
logger = Logger()
