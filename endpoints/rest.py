"""Everything but deliveries."""

from collections.abc import Mapping

from dify_plugin import Endpoint
from werkzeug import Request, Response

from kafka_bridge.dify import app


class Rest(Endpoint):
    """Any path and method: `kafka_bridge.dify.routes` has the table."""

    def _invoke(self, r: Request, values: Mapping[str, object], settings: Mapping[str, object]) -> Response:
        return app.runtime().route(r, values, settings, self.session)
