"""Deliveries."""

from collections.abc import Mapping

from dify_plugin import Endpoint
from werkzeug import Request, Response

from kafka_bridge.dify import app


class Webhook(Endpoint):
    """`POST /webhook` and `POST /webhook/<source>`."""

    def _invoke(self, r: Request, values: Mapping[str, object], settings: Mapping[str, object]) -> Response:
        return app.runtime().webhook(r, values, settings, self.session)
