"""``/v1/audit``: pages of a tenant's own entries, and the check of the chain."""

import httpx

Client = httpx.AsyncClient


async def test_what_is_done_is_written_down_for_its_tenant(admin: Client, other: Client) -> None:
    key = (await admin.post("/v1/keys", json={"role": "viewer"})).json()
    newest = (await admin.get("/v1/audit")).json()["entries"][0]
    assert (newest["action"], newest["resource"]) == ("key.create", f"key/{key['id']}")
    assert (newest["actor"], newest["outcome"]) == (admin.headers["X-Test-Key"], "success")
    assert key["key"] not in (await admin.get("/v1/audit")).text
    assert key["id"] not in (await other.get("/v1/audit")).text


async def test_pages_follow_each_other_to_the_first_entry(admin: Client) -> None:
    for _ in range(3):
        await admin.post("/v1/keys", json={"role": "viewer"})
    numbers, cursor = [], None
    while True:
        page = (await admin.get("/v1/audit", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        numbers += [entry["number"] for entry in page["entries"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert numbers == list(range(len(numbers), 0, -1))
    assert (await admin.get("/v1/audit/verify")).json() == {"ok": True, "entries": len(numbers), "broken_at": None}


async def test_wrong_pages_are_refused(admin: Client) -> None:
    for parameters in ({"limit": 0}, {"limit": 1001}, {"cursor": 0}, {"cursor": "x"}):
        assert (await admin.get("/v1/audit", params=parameters)).status_code == 422
