"""What a plugin may ask of Dify while its request is open: storage, apps, the app's form."""

import binascii
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from devhost import gojson
from devhost.apps import AppError, Apps
from devhost.frames import Malformed, dehex
from devhost.storage import Storage, StorageError

_OPERATIONS: Final = ("get", "set", "del", "exist")
_INVALID: Final = (
    "unmarshal backwards invoke request failed: error validating struct: "
    "Key: 'InvokeStorageRequest.{field}' Error:Field validation for '{field}' failed on the '{rule}' tag"
)


type AroundStorage = Callable[[str, str], AbstractAsyncContextManager[object]]
"""Called with an operation (`get`, `set`, `del`, `exist`) and a key; what it gives is put around the call.

It may wait, and raise StorageError, before the call or after it: so storage is as slow, as full or as dead as a test or
a developer wants it.
"""


def undisturbed(_operation: str, _key: str) -> AbstractAsyncContextManager[object]:
    """Storage that works."""
    return nullcontext()


class CallFailed(Exception):
    """`str()` is the text that the plugin gets as a bare exception."""


@dataclass(frozen=True, slots=True)
class Call:
    """A backwards invocation."""

    kind: str
    request_id: str
    request: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call: its parts, and whether the plugin gets them as a struct or as a stream."""

    message: str
    parts: list[dict[str, object]]


def read_call(data: object) -> Call:
    """The call in an `invoke` message. Raises Malformed: then the plugin's whole request has failed."""
    if data is not None and not isinstance(data, dict):
        raise Malformed(
            f"unmarshal invoke request failed: json: cannot unmarshal {gojson.kind(data)} "
            "into Go value of type map[string]interface {}"
        )
    data = data or {}
    kind, request_id, request = data.get("type"), data.get("backwards_request_id"), data.get("request")
    if not isinstance(kind, str):
        raise Malformed(f"invoke request missing type: {gojson.printed(data)}")
    if not isinstance(request_id, str):
        raise Malformed(f"invoke request missing request_id: {gojson.printed(data)}")
    if not isinstance(request, dict):
        raise Malformed(f"invoke request missing request: {gojson.printed(data)}")
    return Call(kind, request_id, request)


class Calls:
    """Answers backwards invocations. `permissions` are those of the manifest."""

    def __init__(
        self,
        storage: Storage,
        apps: Apps,
        permissions: Mapping[str, Mapping[str, object]],
        *,
        around_storage: AroundStorage = undisturbed,
    ) -> None:
        self._storage = storage
        self._apps = apps
        self._permissions = permissions
        self._around_storage = around_storage

    async def answer(self, call: Call) -> Reply:
        """What the plugin gets. Raises CallFailed."""
        try:
            match call.kind:
                case "storage":
                    self._permit("storage")
                    return Reply("struct", [await self._store(call.request)])
                case "app":
                    self._permit("app")
                    return Reply("stream", await self._run(call.request))
                case "fetch_app":
                    self._permit("app")
                    return Reply("struct", [self._apps.fetch(str(call.request.get("app_id", "")))])
                case _:
                    raise CallFailed(f"the local host does not answer calls of the type {call.kind}")
        except (StorageError, AppError) as error:
            raise CallFailed(str(error)) from error

    def _permit(self, permission: str) -> None:
        if not self._permissions.get(permission, {}).get("enabled"):
            raise CallFailed(f"permission denied, you need to enable {permission} access in plugin manifest")

    async def _store(self, request: Mapping[str, object]) -> dict[str, object]:
        key, operation = str(request.get("key") or ""), str(request.get("opt"))
        # What is not valid is refused before the store is asked.
        if not key:
            raise CallFailed(_INVALID.format(field="Key", rule="required"))
        if operation not in _OPERATIONS:
            raise CallFailed(_INVALID.format(field="Opt", rule="storage_opt"))
        async with self._around_storage(operation, key):
            return self._carry_out(operation, key, request)

    def _carry_out(self, operation: str, key: str, request: Mapping[str, object]) -> dict[str, object]:
        match operation:
            case "get":
                return {"data": binascii.hexlify(self._storage.get(key)).decode()}
            case "set":
                try:
                    value = dehex(str(request.get("value") or ""))
                except Malformed as error:
                    raise CallFailed(f"decode data failed: {error}") from error
                self._storage.set(key, value)
                return {"data": "ok"}
            case "del":
                return {"data": "ok", "deleted_num": self._storage.delete(key)}
            case _:
                exists = self._storage.exist(key)
                return {"data": exists, "exist_num": int(exists)}

    async def _run(self, request: Mapping[str, object]) -> list[dict[str, object]]:
        inputs = request.get("inputs")
        return await self._apps.run(
            str(request.get("app_id", "")),
            dict(inputs) if isinstance(inputs, dict) else {},
            query=str(request.get("query") or ""),
            streaming=request.get("response_mode") == "streaming",
        )
