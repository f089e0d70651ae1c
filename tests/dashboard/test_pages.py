"""The pages over HTTP: headers, caching, and nothing but the files that are meant."""

import re
from pathlib import Path

import httpx
import pytest

from dashboard.assets import Assets
from dashboard.files import assets
from dashboard.security import page_headers, script_hash
from dashboard.shell import IMPORTS, STYLES, import_map


async def test_the_shell_allows_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"https?://", answer.text), "an address of another machine"


async def test_every_inline_script_of_the_shell_is_named_by_its_hash(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    inline = re.findall(r"<script(?![^>]*src)[^>]*>(.*?)</script>", answer.text, re.DOTALL)
    assert inline == [import_map(assets())]
    assert script_hash(inline[0]) in answer.headers["content-security-policy"]
    assert not re.search(r"\son\w+=|style=", answer.text), "inline handlers and styles are refused by the policy"


async def test_everything_the_shell_names_is_there(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    for url in set(re.findall(r'"(/static/[^"]+)"', page)):
        answer = await client.get(url)
        assert answer.status_code == 200, url
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert all(assets().get(name) for name in (*IMPORTS.values(), *STYLES))


async def test_a_file_is_revalidated_by_its_etag(client: httpx.AsyncClient) -> None:
    first = await client.get("/static/main.js")
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["content-type"].startswith("text/javascript")
    etag = first.headers["etag"]
    for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await client.get("/static/main.js", headers={"If-None-Match": header})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert (await client.get("/static/main.js", headers={"If-None-Match": '"other"'})).status_code == 200


async def test_files_are_compressed_for_whoever_takes_it(client: httpx.AsyncClient) -> None:
    plain = await client.get("/static/vendor/uplot.js", headers={"Accept-Encoding": "identity"})
    small = await client.get("/static/vendor/uplot.js", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert small.content == plain.content
    assert "content-encoding" not in (await client.get("/static/vendor/inter-latin.woff2")).headers


@pytest.mark.parametrize(
    "path",
    [
        "nothing.js",
        "../pages.py",
        "%2e%2e/pages.py",
        "..%2f..%2fpyproject.toml",
        "/etc/passwd",
        "vendor",
        "",
        "vendor/../../assets.py",
        "main.js%00",
    ],
)
async def test_what_is_no_file_of_ours_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/static/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] in ("application/problem+json", "application/json")


def test_only_files_of_known_types_are_served(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("export {};")
    (tmp_path / "secret.env").write_text("x")
    (tmp_path / "b.css").mkdir()
    found = Assets.read(tmp_path)
    assert found.names("") == ["a.js"]
    assert found.get(f"{found.version}/a.js") is found.get("a.js")
    assert found.get("0/a.js") is None


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    before = Assets.read(tmp_path).version
    (tmp_path / "a.js").write_text("2")
    assert Assets.read(tmp_path).version != before


def test_the_pages_weigh_less_than_200_kb() -> None:
    names = [
        name for name in assets().names("") if not name.startswith("vendor/licences/") and not name.endswith(".json")
    ]
    files = [asset for asset in map(assets().get, names) if asset]
    weight = sum(len(file.gzipped or file.content) for file in files)
    assert weight < 200_000, f"{weight} bytes over the wire"


def test_a_page_without_scripts_allows_none_inline() -> None:
    assert "script-src 'self';" in page_headers()["Content-Security-Policy"]
