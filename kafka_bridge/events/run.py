"""What became of one run of a workflow, for whoever records it. Pure."""

from typing import NamedTuple


class Ran(NamedTuple):
    """One run for one record.

    `topic`, `partition` and `offset` say where the record lies. `attempt` counts from 1; `ending` is how it ended in
    `dispatch.ended`'s words, `error` is for the operator; `time` is when it ended in unix seconds. `dead_lettered`:
    there will be no other, and the dead-letter topic has the record. `text` is what was run, of `content_type`: what is
    masked in it is to be masked in `error` too.
    """

    event_id: str
    event_type: str | None
    topic: str
    partition: int
    offset: int
    attempt: int
    ending: str
    run_id: str
    error: str
    duration_s: float
    time: float
    dead_lettered: bool = False
    text: str = ""
    content_type: str = ""
