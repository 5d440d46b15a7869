"""What most plugins do: a persistent producer, and a flush for every request."""

import os

import shared
from confluent_kafka import Producer
from dify_plugin import Endpoint
from werkzeug import Response


class Flush(Endpoint):
    def _invoke(self, r, values, settings):
        if shared.producer is None:
            shared.producer = Producer({"bootstrap.servers": settings["bootstrap_servers"], "enable.idempotence": True})
        shared.producer.produce(os.environ["BENCH_TOPIC"], r.get_data())
        shared.producer.flush()
        return Response("ok")
