"""Moments as people write them: RFC 3339, or unix seconds. Pure."""

from datetime import UTC, datetime


def unix_of(text: str) -> float | None:
    """Unix seconds; None for what is no moment. One without a zone is UTC."""
    try:
        if text.replace(".", "", 1).isdecimal() and text.isascii():
            return datetime.fromtimestamp(float(text), UTC).timestamp()
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
