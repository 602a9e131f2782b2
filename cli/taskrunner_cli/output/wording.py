"""Words for numbers of things, and for retries."""

from taskrunner_cli.api.documents import Retries


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def retries_in_words(retries: Retries) -> str:
    """Return how often and when a step is tried again: `up to 3 attempts, 2 s apart`."""
    pause_s, rate = retries.get("backoffSeconds", 0), retries.get("backoffRate", 1)
    most_s, reasons = retries.get("maxBackoffSeconds"), retries.get("on", [])
    parts = [f"up to {counted(retries['maxAttempts'], 'attempt')}"]
    parts += [f"{pause_s} s apart"] if pause_s else []
    parts += [f"each pause {rate:g} times the one before"] if rate != 1 else []
    parts += [f"at most {most_s} s"] if most_s is not None else []
    parts += ["shortened at random"] if retries.get("jitter") == "full" else []
    parts += [f"after {' or '.join(reasons)} only"] if reasons else []
    return ", ".join(parts)
