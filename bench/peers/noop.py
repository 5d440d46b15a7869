"""The least that an endpoint of the SDK can do: the floor under every figure."""

from dify_plugin import Endpoint
from werkzeug import Response


class Noop(Endpoint):
    def _invoke(self, r, values, settings):
        return Response("ok")
