"""The first start: the tenant ``default`` and a key with every scope."""

from contextlib import suppress
from pathlib import Path

from access.audit import SYSTEM
from access.files import create_private, read_private
from access.keys import KeyStore, NewKey, new_secret, public_id_of
from access.principal import Role, Scope
from access.tenants import DEFAULT_TENANT, TenantStore
from core.errors import Conflict, SettingsError

ADMIN_KEY_FILE = "admin.key"


async def bootstrap(data_dir: Path, tenants: TenantStore, keys: KeyStore, given: str = "") -> None:
    """Make what a new hub needs; harmless at every later start.

    The key's secret goes to ``DATA_DIR/admin.key`` (mode 0600) first and to the database second: killed between
    the two, the next start takes the file's secret, as does a hub whose database was lost. A file that is there
    is never overwritten, and a file that was put away is not made again while the tenant has keys. A secret that is
    ``given`` is the key instead, and no file is written: processes on several machines agree on it beforehand.
    """
    # Another process may start at the same time: what it has made already is as good.
    with suppress(Conflict):
        await tenants.create(DEFAULT_TENANT, "Default", SYSTEM)
    if await keys.list(DEFAULT_TENANT):
        return
    secret = given or _from_file(data_dir / ADMIN_KEY_FILE)
    new = NewKey(DEFAULT_TENANT, Role.ADMIN, frozenset(Scope), name="admin (first start)")
    with suppress(Conflict):
        await keys.create(new, SYSTEM, secret=secret)


def _from_file(path: Path) -> str:
    create_private(path, new_secret()[1].encode() + b"\n")
    secret = (read_private(path) or b"").decode("ascii", "replace").strip()
    if public_id_of(secret) is None:
        raise SettingsError(f"{path} holds no key of this hub; move it away and start again.")
    return secret
