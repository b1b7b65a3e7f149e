"""Endpoints and models as they are declared, and the pools that stand for them. Pure: it calls nobody.

A pool is named after the true resource, never after a run's own name for it, so that runs which call the same model
share its limits: `HOST/PATH@KEY` is an endpoint under one key, `.../MODEL` a model there, `provider/NAME` a provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from passloop.kernel.events import PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName
from passloop.kernel.pools import NO_RATE, estimate

__all__ = ["NO_LIMIT", "Endpoint", "Model", "declarations", "draws_of", "is_reference", "limits_of"]

NO_LIMIT = 512
"""Calls in flight where the user names no limit: a pool has a capacity, and so has a process in open sockets."""

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,199}|file:.+")
_OF_A_PLACE = re.compile("[./:]")
_PORTS = {"http": ":80", "https": ":443"}
"""What a URL means that names no port."""


def is_reference(value: str) -> bool:
    """Whether a header's value says where a secret is, and is not sent itself."""
    return _REFERENCE.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One OpenAI-compatible endpoint under one key. Spans in ms, rates per minute, None = no limit is known.

    `base_url` is what `/chat/completions` is appended to. `api_key` is a reference: `env:NAME` or `file:PATH`.
    `address` is the URL as it is written best: the same for all spellings of one place.
    `headers` go with each call; a value that is a reference is looked up as `api_key` is. With `discovers` the limits
    that the endpoint tells in `x-ratelimit-limit-*` are kept, too. Raises `ValueError` for a URL that is none, or that
    holds a password.
    """

    base_url: str
    api_key: str | None = None
    provider: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_in_flight: int | None = None
    dead_after: int = 120_000
    discovers: bool = False
    address: str = field(init=False)
    pool: PoolName = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{self.base_url!r} is no URL of an endpoint: write it like http://127.0.0.1:8080/v1")
        if parts.username or parts.password:
            raise ValueError("a key does not belong into base_url: name it in api_key, as env:NAME or file:PATH")
        if parts.query or parts.fragment:
            raise ValueError(f"{self.base_url!r} has a ? or a #, and paths are appended to it: leave it out")
        key = "" if self.key is None else "@" + self.key.partition(":")[2].rpartition("/")[2]
        place = parts.netloc.lower().removesuffix(_PORTS[parts.scheme]) + parts.path.rstrip("/")
        object.__setattr__(self, "address", f"{parts.scheme}://{place}")
        if not _OF_A_PLACE.search(place):
            place += "/"  # or a host called cpu would draw on the CPUs
        object.__setattr__(self, "pool", PoolName(place + key))

    @property
    def key(self) -> str | None:
        """The reference of the secret that lets calls in: `api_key`, else what the first header names."""
        return self.api_key or next((value for _, value in self.headers if is_reference(value)), None)

    @property
    def requests(self) -> PoolName:
        """The rate of its requests per minute."""
        return PoolName(f"{self.pool}:requests")

    @property
    def tokens(self) -> PoolName:
        """The rate of its tokens per minute."""
        return PoolName(f"{self.pool}:tokens")


@dataclass(frozen=True, slots=True)
class Model:
    """A model at an endpoint; `name` is the endpoint's own. Make one for each model and use it for all its calls."""

    endpoint: Endpoint
    name: str
    max_in_flight: int | None = None
    dead_after: int | None = None
    pool: PoolName = field(init=False)
    requests: PoolName = field(init=False)
    tokens: PoolName = field(init=False)

    def __post_init__(self) -> None:
        name = f"{self.endpoint.pool}/{self.name}"
        object.__setattr__(self, "pool", PoolName(name))
        object.__setattr__(self, "requests", PoolName(f"{name}:requests"))
        object.__setattr__(self, "tokens", PoolName(f"{name}:tokens"))


def declarations(models: Iterable[Model]) -> tuple[PoolDeclared, ...]:
    """The pools of these models, parents first, each once. A run sends them before it submits its tasks."""
    found: dict[PoolName, PoolDeclared] = {}
    for model in models:
        for pool in (*_provider(model.endpoint), *_endpoint(model.endpoint), *_model(model)):
            found[pool.name] = pool
    return tuple(found.values())


def draws_of(model: Model, *, tokens: int) -> tuple[tuple[PoolName, int], ...]:
    """What one call asks, for a `Variant`: a place of the model (and so of its parents), and of rates if there are any.

    `tokens` is the estimate of prompt and answer; it is rounded up to a power of two, and corrected after the call.
    """
    endpoint = model.endpoint
    asked = {model.pool: 1}
    if endpoint.requests_per_minute is not None:
        asked[endpoint.requests] = 1
    if endpoint.tokens_per_minute is not None:
        asked[endpoint.tokens] = min(estimate(max(tokens, 1)), endpoint.tokens_per_minute)
    if endpoint.discovers:
        asked[model.requests] = 1
        asked[model.tokens] = estimate(max(tokens, 1))
    return tuple(sorted(asked.items()))


def limits_of(model: Model) -> tuple[PoolName, ...]:
    """The limits in which a call of this model takes a place: its own, its endpoint's, its provider's."""
    provider = model.endpoint.provider
    return (model.pool, model.endpoint.pool, *(() if provider is None else (_provider_pool(provider),)))


def _provider(endpoint: Endpoint) -> Iterable[PoolDeclared]:
    if endpoint.provider is not None:
        yield PoolDeclared(_provider_pool(endpoint.provider), PoolKind.LIMIT, NO_LIMIT)


def _provider_pool(name: str) -> PoolName:
    return PoolName(f"provider/{name}")


def _endpoint(endpoint: Endpoint) -> Iterable[PoolDeclared]:
    parent = None if endpoint.provider is None else _provider_pool(endpoint.provider)
    places = endpoint.max_in_flight or NO_LIMIT
    yield PoolDeclared(endpoint.pool, PoolKind.LIMIT, places, parent=parent, dead_after=endpoint.dead_after)
    if endpoint.requests_per_minute is not None:
        yield PoolDeclared(endpoint.requests, PoolKind.RATE, endpoint.requests_per_minute)
    if endpoint.tokens_per_minute is not None:
        yield PoolDeclared(endpoint.tokens, PoolKind.RATE, endpoint.tokens_per_minute)


def _model(model: Model) -> Iterable[PoolDeclared]:
    endpoint = model.endpoint
    places = model.max_in_flight or endpoint.max_in_flight or NO_LIMIT
    dead_after = endpoint.dead_after if model.dead_after is None else model.dead_after
    yield PoolDeclared(model.pool, PoolKind.LIMIT, places, parent=endpoint.pool, dead_after=dead_after)
    if endpoint.discovers:
        yield PoolDeclared(model.requests, PoolKind.RATE, NO_RATE)
        yield PoolDeclared(model.tokens, PoolKind.RATE, NO_RATE)
