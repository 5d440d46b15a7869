"""What a plugin may ask of Dify while its request is open: storage, apps, the app's form."""

import binascii
from collections.abc import Mapping

from devhost.apps import AppError, Apps
from devhost.storage import Storage, StorageError


class CallFailed(Exception):
    """`str()` is the text that the plugin gets as a bare exception."""


class Calls:
    """Answers backwards invocations. `permissions` are those of the manifest."""

    def __init__(self, storage: Storage, apps: Apps, permissions: Mapping[str, Mapping[str, object]]) -> None:
        self._storage = storage
        self._apps = apps
        self._permissions = permissions

    async def answer(self, kind: str, request: Mapping[str, object]) -> dict[str, object]:
        """The data of the one response. Raises CallFailed."""
        match kind:
            case "storage":
                self._permit("storage", "storage")
                return self._store(request)
            case "app":
                self._permit("app", "app")
                return await self._run(request)
            case "fetch_app":
                self._permit("app", "app")
                return self._fetch(request)
            case _:
                raise CallFailed(f"the local host does not answer calls of the type {kind}")

    def _permit(self, permission: str, word: str) -> None:
        if not self._permissions.get(permission, {}).get("enabled"):
            raise CallFailed(f"permission denied, you need to enable {word} access in plugin manifest")

    def _store(self, request: Mapping[str, object]) -> dict[str, object]:
        key = str(request.get("key", ""))
        try:
            match request.get("opt"):
                case "get":
                    return {"data": binascii.hexlify(self._storage.get(key)).decode()}
                case "set":
                    self._storage.set(key, binascii.unhexlify(str(request.get("value", ""))))
                    return {"data": "ok"}
                case "del":
                    self._storage.delete(key)
                    return {"data": "ok", "deleted_num": 0}
                case _:
                    exists = self._storage.exist(key)
                    return {"data": exists, "exist_num": int(exists)}
        except StorageError as error:
            raise CallFailed(str(error)) from error

    async def _run(self, request: Mapping[str, object]) -> dict[str, object]:
        inputs = request.get("inputs")
        try:
            return await self._apps.run(
                str(request.get("app_id", "")), dict(inputs) if isinstance(inputs, dict) else {}
            )
        except AppError as error:
            raise CallFailed(str(error)) from error

    def _fetch(self, request: Mapping[str, object]) -> dict[str, object]:
        try:
            return self._apps.fetch(str(request.get("app_id", "")))
        except AppError as error:
            raise CallFailed(str(error)) from error
