"""A local flow: what the worker runs for each record where there is no app of Dify's.

    python -m kafka_bridge.worker --flow examples/flow.py:answer

`record` has the fields of a JSON payload (anything else is in `message`), and `event_id`, `event_type`, `topic`,
`partition`, `offset`, `key`, `headers`; `kafka` has all of these at once. What is returned is written to the result
topic. Whatever is raised is a failed run: tried again, and dead-lettered in the end.
"""

from typing import Any

from kafka_bridge.errors import Retry

BIG = 1000


def answer(record: dict[str, Any]) -> dict[str, Any]:
    """An order that is looked at; one that has not been paid is looked at again in half a minute."""
    if record.get("paid") is False:
        raise Retry("not paid yet", after=30)
    amount = float(record.get("amount", 0))
    # The same event may come twice: let what you do depend on its id.
    return {"order": record["event_id"], "amount": amount, "review": amount >= BIG}


async def greet(record: dict[str, Any]) -> dict[str, Any]:
    """Flows may be asynchronous; all of them share one event loop."""
    return {"greeting": f"Hello {record.get('name', 'world')}"}
