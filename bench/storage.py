"""In the place of the daemon's storage: answers the plugin's calls at once, from memory, and counts the writes."""

from devhost.calls import read_call
from devhost.frames import Message, call_reply, dehex


class Storage:
    """Keys and values of one plugin process."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self.writes = 0

    def answer(self, message: Message) -> bytes:
        """The lines that answer a call. Raises RuntimeError for one that is not for storage."""
        call = read_call(message.data)
        if call.kind != "storage":
            raise RuntimeError(f"a call of the type {call.kind}")
        key, operation = str(call.request.get("key")), call.request.get("opt")
        data: object = "ok"
        if operation == "set":
            self.writes += 1
            self._values[key] = dehex(str(call.request["value"]))
        elif operation == "exist":
            data = key in self._values
        elif key not in self._values:
            return self._reply(
                message, call.request_id, "error", f"{'load' if operation == 'get' else 'delete'} data failed"
            )
        elif operation == "get":
            data = self._values[key].hex()
        else:
            self.writes += 1
            del self._values[key]
        return self._reply(message, call.request_id, "response", "struct", data={"data": data})

    def _reply(self, message: Message, request_id: str, event: str, text: str, data: object = None) -> bytes:
        first = call_reply(message.session_id, "bench", request_id, event, message=text, data=data)
        return first + call_reply(message.session_id, "bench", request_id, "end")
