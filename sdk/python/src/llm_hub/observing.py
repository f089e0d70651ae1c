"""``@llm_hub.observe()``: a span around every call of a function, whatever kind of function it is."""

import functools
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar, overload

from llm_hub.context import CURRENT, Scope, leave
from llm_hub.default import get_client
from llm_hub.spans import Span

P = ParamSpec("P")
R = TypeVar("R")


@overload
def observe(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def observe(
    *,
    name: str | None = None,
    kind: str = "internal",
    event_type: str = "span",
    data: Mapping[str, Any] | None = None,
    capture_input: bool = False,
    capture_output: bool = False,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def observe(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    kind: str = "internal",
    event_type: str = "span",
    data: Mapping[str, Any] | None = None,
    capture_input: bool = False,
    capture_output: bool = False,
) -> Any:
    """A span around every call: of functions, coroutines, generators and asynchronous generators.

    Of generators it lasts from the first step to the last, and is the current one only while they run.

    Parameters
    ----------
    name
        Of the span; the function's qualified name if not given.
    kind, event_type, data
        As of :meth:`llm_hub.Client.span`.
    capture_input, capture_output
        Whether arguments and result go along, as ``arguments`` and ``result``; of generators the list of items.

    Examples
    --------
    >>> @observe
    ... def double(number):
    ...     return 2 * number
    >>> @observe(name="answer", kind="chain")
    ... async def answer(question): ...
    """

    def decorate(wrapped: Callable[..., Any]) -> Callable[..., Any]:
        arguments = _arguments_of(wrapped) if capture_input else None

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
            span = get_client().span(name or wrapped.__qualname__, kind=kind, event_type=event_type, data=data)
            return span if arguments is None else span.set(arguments=arguments(args, kwargs))

        return functools.wraps(wrapped)(_wrapper(wrapped, begin, capture_output))

    return decorate if function is None else decorate(function)


Begin = Callable[[tuple[Any, ...], dict[str, Any]], Span]


def _arguments_of(wrapped: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """Tells the arguments of a call by name; of a method, without the object."""
    import inspect  # as below

    signature = inspect.signature(wrapped)

    def arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            found = signature.bind_partial(*args, **kwargs).arguments
        except TypeError:  # the call itself will say so
            return dict(kwargs)
        return {name: value for name, value in found.items() if name not in ("self", "cls")}

    return arguments


def _wrapper(wrapped: Callable[..., Any], begin: Begin, keep: bool) -> Callable[..., Any]:
    import inspect  # a tenth of the import of this package, and not every host decorates

    if inspect.isasyncgenfunction(wrapped):
        return _async_generator(wrapped, begin, keep)
    if inspect.isgeneratorfunction(wrapped):
        return _generator(wrapped, begin, keep)
    if inspect.iscoroutinefunction(wrapped):
        return _coroutine(wrapped, begin, keep)
    return _function(wrapped, begin, keep)


def _function(wrapped: Callable[..., Any], begin: Begin, keep: bool) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs) as span:
            result = wrapped(*args, **kwargs)
            if keep:
                span.set(result=result)
            return result

    return call


def _coroutine(wrapped: Callable[..., Any], begin: Begin, keep: bool) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with begin(args, kwargs) as span:
            result = await wrapped(*args, **kwargs)
            if keep:
                span.set(result=result)
            return result

    return call


class _Steps:
    """The context of a generator: put on for each step and taken off after it, as the generator left it."""

    def __init__(self, span: Span, keep: bool) -> None:
        self.span = span.start()
        self.items: list[Any] | None = [] if keep else None
        self._scope: Scope = span.scope

    @contextmanager
    def step(self) -> Iterator[None]:
        token = CURRENT.set(self._scope)
        try:
            yield
        finally:
            self._scope = CURRENT.get()
            leave(token)

    def note(self, item: Any) -> None:
        if self.items is not None:
            self.items.append(item)

    def end(self, error: BaseException | None = None) -> None:
        if self.items is not None:
            self.span.set(result=self.items)
        self.span.end(error)


def _generator(wrapped: Callable[..., Any], begin: Begin, keep: bool) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps, inner = _Steps(begin(args, kwargs), keep), wrapped(*args, **kwargs)
        advance: Callable[[], Any] = functools.partial(next, inner)
        try:
            while True:
                with steps.step():
                    try:
                        item = advance()
                    except StopIteration as stop:
                        return stop.value
                steps.note(item)
                advance = yield from _ask(item, inner)
        except BaseException as error:
            with steps.step():
                inner.close()
            steps.end(error)
            raise
        finally:
            steps.end()

    return call


def _ask(item: Any, inner: Any) -> Generator[Any, Any, Callable[[], Any]]:
    """Hand ``item`` out; how the caller's answer is handed in."""
    try:
        return functools.partial(inner.send, (yield item))
    except GeneratorExit:
        raise
    except BaseException as error:  # generator.throw() may throw anything
        return functools.partial(inner.throw, error)


def _async_generator(wrapped: Callable[..., Any], begin: Begin, keep: bool) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps, inner = _Steps(begin(args, kwargs), keep), wrapped(*args, **kwargs)
        advance: Callable[[], Any] = inner.__anext__
        try:
            while True:
                with steps.step():
                    try:
                        item = await advance()
                    except StopAsyncIteration:
                        return
                steps.note(item)
                try:
                    advance = functools.partial(inner.asend, (yield item))
                except GeneratorExit:
                    raise
                except BaseException as error:  # agen.athrow() may throw anything
                    advance = functools.partial(inner.athrow, error)
        except BaseException as error:
            with steps.step():
                await inner.aclose()
            steps.end(error)
            raise
        finally:
            steps.end()

    return call
