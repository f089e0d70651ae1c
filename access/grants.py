"""Nobody gives away more than they have."""

from access.keys import NewKey, principal_of
from access.principal import Principal, Role, Scope
from access.users import user_scopes
from core.errors import Forbidden, NotFound
from storage.metadata.models import ApiKey


def reach_tenant(caller: Principal, tenant: str) -> None:
    """Refuse another tenant than the caller's own, unless the caller has the scope ``hub``.

    The refusal is the same whether that tenant exists or not.
    """
    if tenant != caller.tenant and not caller.has(Scope.HUB):
        raise Forbidden("This key reaches its own tenant only; a key with the scope 'hub' reaches others.")


def see_key(caller: Principal, row: ApiKey) -> None:
    """Hide the keys of other tenants: to whoever does not reach them they are not there."""
    if row.tenant != caller.tenant and not caller.has(Scope.HUB):
        raise NotFound(f"There is no key {row.id!r}.")


def reach_key(caller: Principal, row: ApiKey) -> None:
    """Refuse to rotate or revoke a key that may do more than the caller."""
    see_key(caller, row)
    target = principal_of(row)
    if target.scopes - caller.scopes or not caller.role.reaches(target.role):
        raise Forbidden("That key has more rights than the one used; use one that has at least as many.")


def reach_role(caller: Principal, role: Role) -> None:
    """Refuse to make anybody more than the caller is."""
    if not caller.role.reaches(role):
        raise Forbidden(f"A {caller.role} cannot make anybody {role}.")


def reach_user(caller: Principal, role: Role) -> None:
    """Refuse to make, change or sign in a user who may do more than the caller."""
    reach_role(caller, role)
    beyond = sorted(user_scopes(role) - caller.scopes)
    if beyond:
        raise Forbidden(f"A user of role {role} may also {', '.join(beyond)}, which this key may not.")


def grantable(caller: Principal, new: NewKey) -> NewKey:
    """The key as the caller may make it: limits and expiry that were left open are the caller's own.

    Raises
    ------
    Forbidden
        It would have another tenant, a higher role, more scopes, a higher limit or a longer life.
    """
    reach_tenant(caller, new.tenant)
    reach_role(caller, new.role)
    beyond = sorted(new.scopes - caller.scopes)
    if beyond:
        raise Forbidden(f"A key cannot grant what it has not: {', '.join(beyond)}.")
    own = caller.rate_limit
    limit = type(own)(
        _within(new.rate_limit.requests_per_second, own.requests_per_second),
        _within(new.rate_limit.events_per_second, own.events_per_second),
    )
    expires_at = new.expires_at if new.expires_at is not None else caller.expires_at
    if caller.expires_at is not None and expires_at is not None and expires_at > caller.expires_at:
        raise Forbidden(f"A key cannot outlive the one that makes it ({caller.expires_at.isoformat()}).")
    return NewKey(new.tenant, new.role, new.scopes, new.name, limit, expires_at)


def _within(asked: float | None, own: float | None) -> float | None:
    if own is not None and asked is not None and asked > own:
        raise Forbidden(f"A key cannot grant a higher rate than its own ({own:g} a second).")
    return own if asked is None else asked
