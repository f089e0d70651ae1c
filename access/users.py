"""The people of a tenant, who sign in to its pages."""

import uuid
from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.audit import Actor, AuditLog
from access.principal import ROLE_SCOPES, Principal, Role, Scope
from core.clock import Clock
from core.errors import Conflict, NotFound
from storage.metadata.database import Metadata
from storage.metadata.models import User

_PREFIX = "user:"


def subject_of(user_id: str) -> str:
    """How a user is named where a key's id would stand."""
    return _PREFIX + user_id


def user_id_of(subject: str) -> str | None:
    """The user's id in a subject; ``None`` when the subject is a key."""
    return subject.removeprefix(_PREFIX) if subject.startswith(_PREFIX) else None


def user_scopes(role: Role) -> frozenset[Scope]:
    """What a signed-in person may do: everything of the role but other tenants."""
    return ROLE_SCOPES[role] - {Scope.HUB}


def user_principal(user: User) -> Principal:
    """The caller that a signed-in person is."""
    role = Role(user.role)
    return Principal(user.tenant, subject_of(user.id), role, user_scopes(role), session=True)


class UserStore:
    """Creates, reads, changes and deletes users; all by tenant, so that another tenant's are simply not there.

    Parameters
    ----------
    changed
        Called with the subject whose rights changed, so that caches forget it at once.
    """

    def __init__(self, metadata: Metadata, clock: Clock, audit: AuditLog, changed: Callable[[str], None]) -> None:
        self._metadata = metadata
        self._clock = clock
        self._audit = audit
        self._changed = changed

    async def create(self, tenant: str, email: str, name: str, role: Role, actor: Actor) -> User:
        """Make a user; raises :class:`Conflict` when the tenant has one with that e-mail address."""
        email = email.strip().lower()
        taken = select(User.id).where(User.tenant == tenant, User.email == email)
        user = User(
            id=str(uuid.uuid4()),
            tenant=tenant,
            email=email,
            name=name,
            role=str(role),
            created_at=self._clock.now(),
        )
        async with self._metadata.session() as session:
            if (await session.execute(taken)).first() is not None:
                raise Conflict(f"There is a user {email} already.", field="email")
            session.add(user)
            await self._audit.append(
                session, tenant, actor, "user.create", f"user/{user.id}", {"email": email, "role": user.role}
            )
        return user

    async def list(self, tenant: str) -> Sequence[User]:
        """A tenant's users, by e-mail address."""
        async with self._metadata.reading() as session:
            return (await session.scalars(select(User).where(User.tenant == tenant).order_by(User.email))).all()

    async def get(self, tenant: str, user_id: str) -> User:
        """One user; raises :class:`NotFound`."""
        async with self._metadata.reading() as session:
            return await _get(session, tenant, user_id)

    async def update(
        self,
        tenant: str,
        user_id: str,
        actor: Actor,
        *,
        name: str | None = None,
        role: Role | None = None,
        disabled: bool | None = None,
    ) -> User:
        """Change what is given; a disabled user's sessions end at once."""
        async with self._metadata.session() as session:
            user = await _get(session, tenant, user_id)
            user.name = user.name if name is None else name
            user.role = user.role if role is None else str(role)
            if disabled is not None:
                user.disabled_at = (user.disabled_at or self._clock.now()) if disabled else None
            changes = {"name": name, "role": role, "disabled": disabled}
            await self._audit.append(session, tenant, actor, "user.update", f"user/{user_id}", changes)
        self._changed(subject_of(user_id))
        return user

    async def delete(self, tenant: str, user_id: str, actor: Actor) -> None:
        """Delete a user; sessions end at once."""
        async with self._metadata.session() as session:
            await session.delete(await _get(session, tenant, user_id))
            await self._audit.append(session, tenant, actor, "user.delete", f"user/{user_id}")
        self._changed(subject_of(user_id))


async def _get(session: AsyncSession, tenant: str, user_id: str) -> User:
    user = await session.get(User, user_id)
    if user is None or user.tenant != tenant:
        raise NotFound(f"There is no user {user_id!r}.")
    return user
