"""What is consumed and how, compiled from its settings; and what is written of a record in the end. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from kafka_bridge.broker.ports import Start
from kafka_bridge.dispatch.deadletter import DeadLetterTopic, dead_letter
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.inputs import Inputs, compile_inputs
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.policy import Policy
from kafka_bridge.dispatch.results import result
from kafka_bridge.dispatch.task import Ordering, Task, Writing
from kafka_bridge.events.record import Record, is_topic_name
from kafka_bridge.placeholders import BadTemplate
from kafka_bridge.settings.endpoint import ConsumeSettings
from kafka_bridge.settings.reader import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`name` is for log lines; `inputs` makes what the app gets."""

    name: str
    topics: Sequence[str]
    group_id: str
    start: Start
    policy: Policy
    inputs: Inputs
    dead_letters: DeadLetterTopic
    result_topic: str

    @property
    def source(self) -> str:
        """Who ran it, in the sense of CloudEvents."""
        return f"/consumer/{self.group_id}"

    def record_of(self, task: Task, kind: Writing) -> Record:
        """The result or the dead letter of a task. Raises BridgeError when it has no legal topic to go to."""
        ended = task.last
        if kind is Writing.RESULT:
            done = ended or Ended(Ending.DONE)
            unix = (task.since or 0.0) + done.duration_s
            event_id = read(task.consumed).event_id
            return result(done, topic=self.result_topic, event_id=event_id, source=self.source, unix=unix)
        return dead_letter(
            task.consumed,
            ended,
            topic=self.dead_letters.of(task.consumed.record.topic),
            group=self.group_id,
            attempts=task.attempts,
            first_failure=task.first_failure,
            last_failure=task.last_failure,
            reason=task.reason.value if task.reason else "",
        )


def compile_plan(settings: ConsumeSettings, *, name: str) -> tuple[Plan | None, Sequence[Problem]]:
    """The plan, or what is wrong with it. One without topics is for records that are brought by whoever calls."""
    inputs, found = compile_inputs(settings.input_mapping, settings.app_inputs)
    problems = list(found)
    if not all(map(is_topic_name, settings.topics)):
        problems.append(Problem("consume_topics", "has a name that is not legal in Kafka"))
    if settings.result_topic and not is_topic_name(settings.result_topic):
        problems.append(Problem("result_topic", "is not a legal topic name"))
    if settings.result_topic in settings.topics:
        problems.append(Problem("result_topic", "is a topic that is consumed"))
    try:
        dead_letters = DeadLetterTopic.compile(settings.dead_letter_topic, topics=settings.topics)
    except BadTemplate as error:
        problems.append(Problem("dead_letter_topic", str(error)))
        return None, problems
    if problems:
        return None, problems
    plan = Plan(
        name=name,
        topics=settings.topics,
        group_id=settings.group_id,
        start=Start(settings.offset_reset),
        policy=Policy(
            ordering=Ordering(settings.ordering),
            concurrency=settings.concurrency,
            max_attempts=settings.max_attempts,
            max_age_s=settings.max_age_s,
            results=bool(settings.result_topic),
        ),
        inputs=inputs,
        dead_letters=dead_letters,
        result_topic=settings.result_topic,
    )
    return plan, ()
