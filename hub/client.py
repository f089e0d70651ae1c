"""The commands' own way to a running hub over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from core.errors import HubError
from hub.target import Running


class HubClient:
    """A small synchronous client; every problem answer becomes a :class:`HubError` with its detail."""

    def __init__(self, target: Running, transport: httpx.BaseTransport | None = None, patience: float = 60) -> None:
        self._http = httpx.Client(
            base_url=target.url,
            headers={"Authorization": f"Bearer {target.key}"},
            timeout=httpx.Timeout(60, read=patience),
            transport=transport,
            trust_env=False,  # a proxy of the machine is no way to a hub on loopback
        )
        self._url = target.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """JSON of ``GET path``."""
        return self._call("GET", path, params=params)

    def get_whatever(self, path: str) -> Any:
        """JSON of ``GET path``, also of an answer that is an error: health says what is wrong in its body."""
        try:
            return self._http.get(path).json()
        except (httpx.HTTPError, ValueError) as error:
            raise HubError(f"no answer from {self._url}: {error}") from None

    def text(self, path: str) -> tuple[str, str]:
        """Text of ``GET path``, and the hub's time when it answered."""
        answer = self._answer("GET", path)
        return answer.text, answer.headers.get("date", "")

    def post(self, path: str, body: Any) -> Any:
        """JSON of ``POST path``."""
        return self._call("POST", path, json=body)

    @contextmanager
    def download(self, path: str) -> Iterator[httpx.Response]:
        """The answer of ``POST path``, its body still to be read; one that breaks off raises."""
        try:
            with self._http.stream("POST", path, timeout=httpx.Timeout(60, read=600)) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refused(answer)
                yield answer
        except httpx.HTTPError as error:
            raise HubError(f"the answer of {self._url} broke off: {error}") from None

    def delete(self, path: str, **params: Any) -> Any:
        """JSON of ``DELETE path``, or None."""
        return self._call("DELETE", path, params=params)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._answer(method, path, **options)
        return answer.json() if answer.content else None

    def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise HubError(f"no answer from {self._url}: {error}") from None
        if answer.is_success:
            return answer
        raise _refused(answer)


def _refused(answer: httpx.Response) -> HubError:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text[:200]
    return HubError(f"{answer.status_code} {detail}")
