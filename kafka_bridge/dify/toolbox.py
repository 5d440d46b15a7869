"""The tools as the SDK calls them. Loaded by the first call of one."""

import os
import random
import uuid
from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import Final

from dify_plugin.entities.tool import ToolInvokeMessage
from dify_plugin.errors import model as sdk_errors
from dify_plugin.errors.tool import ToolProviderCredentialValidationError

from kafka_bridge.broker import config
from kafka_bridge.broker.kafka.admin import KafkaAdmin
from kafka_bridge.broker.kafka.reader import KafkaReader
from kafka_bridge.dify.shared import Shared
from kafka_bridge.dify.tools import Kind, Toolbox, ToolFailed
from kafka_bridge.settings.cluster import Cluster
from kafka_bridge.tooling.call import Tool
from kafka_bridge.tooling.consume import Consume
from kafka_bridge.tooling.errands import Errands
from kafka_bridge.tooling.listen_sse import ListenSse, longest_s
from kafka_bridge.tooling.messages import Json, Message, Text, Variable
from kafka_bridge.tooling.publish import Publish
from kafka_bridge.tooling.sse.connection import Connector
from kafka_bridge.tooling.sse.listening import World
from kafka_bridge.tooling.sse.names import Names
from kafka_bridge.tooling.topics import CreateTopic, ListTopics
from kafka_bridge.tooling.validate import Validate
from kafka_bridge.tooling.wait import WaitForEvent


class SdkTools:
    """Every tool, its messages and failures in the SDK's words."""

    def __init__(self, shared: Shared) -> None:
        self._tools = _toolbox(shared)

    def call(
        self, name: str, credentials: Mapping[str, object], parameters: Mapping[str, object]
    ) -> Generator[ToolInvokeMessage]:
        """A tool's messages, as it says them. Raises the SDK's exception of the failure's kind."""
        try:
            for message in self._tools.call(name, credentials, parameters):
                yield _to_sdk(message)
        except ToolFailed as failed:
            failure = _SDK_ERRORS[failed.kind](str(failed))
        else:
            return
        # Here and not where it was caught: the SDK sends the whole traceback along, and what it came of.
        raise failure

    def validate(self, credentials: Mapping[str, object]) -> None:
        """Return if the tools can work with these credentials. Raises the SDK's exception for those that are wrong."""
        try:
            self._tools.validate(credentials)
        except ToolFailed as failed:
            failure = ToolProviderCredentialValidationError(str(failed))
        else:
            return
        raise failure


# Dify shows the text of these, and no other's, as it is: without the name of an exception and a traceback around it.
_SDK_ERRORS: Final = MappingProxyType(
    {
        Kind.BAD_REQUEST: sdk_errors.InvokeBadRequestError,
        Kind.AUTHORIZATION: sdk_errors.InvokeAuthorizationError,
        Kind.CONNECTION: sdk_errors.InvokeConnectionError,
        Kind.RATE_LIMIT: sdk_errors.InvokeRateLimitError,
        Kind.UNAVAILABLE: sdk_errors.InvokeServerUnavailableError,
    }
)


def _to_sdk(message: Message) -> ToolInvokeMessage:
    kinds = ToolInvokeMessage.MessageType
    match message:
        case Json(value):
            return ToolInvokeMessage(type=kinds.JSON, message=ToolInvokeMessage.JsonMessage(json_object=value))
        case Text(text):
            return ToolInvokeMessage(type=kinds.TEXT, message=ToolInvokeMessage.TextMessage(text=text))
        case Variable(name, value):
            variable = ToolInvokeMessage.VariableMessage(variable_name=name, variable_value=value)
            return ToolInvokeMessage(type=kinds.VARIABLE, message=variable)


def _toolbox(shared: Shared) -> Toolbox:
    registry, ca_file, loop, clock = shared.registry, shared.ca_file, shared.loop, shared.clock

    def make_reader(cluster: Cluster, group_id: str) -> KafkaReader:
        return KafkaReader(config.reader_properties(cluster, ca_file=ca_file, group_id=group_id))

    def make_admin(cluster: Cluster) -> KafkaAdmin:
        return KafkaAdmin(config.admin_properties(cluster, ca_file=ca_file))

    errands, most_s = Errands(loop), longest_s(os.environ)
    tools: dict[str, Tool] = {
        "publish": Publish(registry, clock),
        "consume": Consume(make_reader, errands, loop=loop, clock=clock, most_s=most_s),
        "wait_for_event": WaitForEvent(
            make_reader, registry, errands, loop=loop, clock=clock, new_id=lambda: str(uuid.uuid4()), most_s=most_s
        ),
        "list_topics": ListTopics(make_reader, errands, loop=loop, clock=clock),
        "create_topic": CreateTopic(make_admin, errands, clock),
        "listen_sse": ListenSse(
            registry,
            Connector(ca_file, resolve=Names(loop).resolve),
            World(loop, clock, random.random, lambda: str(uuid.uuid4())),
            most_s=most_s,
        ),
    }
    return Toolbox(tools, Validate(make_reader, errands, clock))
