"""``/v1/users``: the people of a tenant."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from access.grants import reach_user
from access.principal import Role
from access.users import subject_of
from core.errors import Conflict
from query_api.administration import PROBLEMS_OF_NEW, AccessService, Admin, Body, Label, audited
from query_api.responses import PROBLEMS, PROBLEMS_OF_ONE
from storage.metadata.models import User

router = APIRouter(tags=["users"])

#: Not the whole grammar of addresses: something, an @, something; only a message could tell more.
Email = Annotated[
    str, Field(max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$", examples=["eve@example.com"])
]


class CreateUser(Body):
    """A user to be made."""

    email: Email
    name: Label = ""
    role: Role = Role.VIEWER


class ChangeUser(Body):
    """What is to change."""

    name: Label | None = None
    role: Role | None = None
    disabled: bool | None = None


class UserModel(Body):
    """A user."""

    id: str
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled: bool


class UserList(Body):
    """Users, by e-mail address."""

    users: list[UserModel]


class LinkModel(Body):
    """A link that signs in once; this answer is the only place where it is shown."""

    path: str
    expires_at: datetime


@router.post("/v1/users", status_code=201, summary="Create a user", responses=PROBLEMS_OF_NEW)
async def create(body: CreateUser, caller: Admin, access: AccessService, request: Request) -> UserModel:
    """Make a user of the caller's tenant with at most the caller's rights."""
    async with audited(request, caller, "user.create", f"user/{body.email}") as actor:
        reach_user(caller, body.role)
        user = await access.users.create(caller.tenant, body.email, body.name, body.role, actor)
    return _model(user)


@router.get("/v1/users", summary="List users", responses=PROBLEMS)
async def list_users(caller: Admin, access: AccessService) -> UserList:
    """The users of the caller's tenant."""
    return UserList(users=[_model(user) for user in await access.users.list(caller.tenant)])


@router.get("/v1/users/{user_id}", summary="Read a user", responses=PROBLEMS_OF_ONE)
async def get(user_id: str, caller: Admin, access: AccessService) -> UserModel:
    """One user."""
    return _model(await access.users.get(caller.tenant, user_id))


@router.patch("/v1/users/{user_id}", summary="Change a user", responses=PROBLEMS_OF_ONE)
async def change(user_id: str, body: ChangeUser, caller: Admin, access: AccessService, request: Request) -> UserModel:
    """Change the name or role, or disable the user, which ends the sessions at once."""
    async with audited(request, caller, "user.update", f"user/{user_id}") as actor:
        reach_user(caller, Role((await access.users.get(caller.tenant, user_id)).role))
        if body.role is not None:
            reach_user(caller, body.role)
        user = await access.users.update(
            caller.tenant, user_id, actor, name=body.name, role=body.role, disabled=body.disabled
        )
    return _model(user)


@router.delete("/v1/users/{user_id}", status_code=204, summary="Delete a user", responses=PROBLEMS_OF_ONE)
async def delete(user_id: str, caller: Admin, access: AccessService, request: Request) -> None:
    """Delete a user; the sessions end at once."""
    async with audited(request, caller, "user.delete", f"user/{user_id}") as actor:
        reach_user(caller, Role((await access.users.get(caller.tenant, user_id)).role))
        await access.users.delete(caller.tenant, user_id, actor)


@router.post(
    "/v1/users/{user_id}/sign-in-link",
    status_code=201,
    summary="Make a sign-in link",
    responses={**PROBLEMS_OF_NEW, **PROBLEMS_OF_ONE},
)
async def sign_in_link(user_id: str, caller: Admin, access: AccessService, request: Request) -> LinkModel:
    """A link that signs the user in once, within a quarter of an hour."""
    async with audited(request, caller, "user.sign_in_link", f"user/{user_id}") as actor:
        user = await access.users.get(caller.tenant, user_id)
        reach_user(caller, Role(user.role))
        if user.disabled_at is not None:
            raise Conflict("This user is disabled; enable them first.")
        token, expires_at = await access.sessions.create_link(caller.tenant, subject_of(user_id))
        await access.audit.record(caller.tenant, actor, "user.sign_in_link", f"user/{user_id}")
    return LinkModel(path=f"/sign-in?token={token}", expires_at=expires_at)


def _model(user: User) -> UserModel:
    return UserModel(
        id=user.id,
        email=user.email,
        name=user.name,
        role=Role(user.role),
        created_at=user.created_at,
        disabled=user.disabled_at is not None,
    )
