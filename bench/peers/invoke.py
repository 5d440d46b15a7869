"""The least that a plugin can do to run an app, so many at once: no Kafka, no order, no offsets."""

import gevent
from dify_plugin import Endpoint
from werkzeug import Response


class Invoke(Endpoint):
    def _invoke(self, r, values, settings):
        numbers = iter(range(int(r.args["runs"])))

        def work():
            for number in numbers:
                self.session.app.workflow.invoke(app_id="workflow", inputs={"n": number}, response_mode="blocking")

        gevent.joinall([gevent.spawn(work) for _ in range(int(r.args["at_once"]))])
        return Response("ok")
