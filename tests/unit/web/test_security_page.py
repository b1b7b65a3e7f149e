"""Each rule of the page's security by its name: who is refused, and that it is before anything else is looked at."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psutil
import pytest

from passloop.web.guard import cookie_name
from passloop.web.keys import CODE_LIVES, Codes, Keys, load_token
from passloop.web.page import open_page
from passloop.web.serve import listen_on_loopback
from tests.support.paged import Paged, paged
from tests.support.served import Reply

HOSTILE_HOSTS = (
    *(
        "127.0.0.1",
        "localhost",
        "127.0.0.1.evil.example",
        "evil.example:{port}",
        "localhost.:{port}",
        "127.0.0.1.:{port}",
    ),
    *("127.0.0.1:1", "127.0.0.1:{port}0", "127.0.0.1:0{port}", "[::1]:{port}", "0.0.0.0:{port}", "127.1:{port}"),
    *(
        "2130706433:{port}",
        "0x7f.1:{port}",
        "LOCALHOST:{port}",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}@evil.example",
    ),
    *("127.0.0.1:{port}/", "127.0.0.1:{port}, evil.example", "127.0.0.1:{port}#", "null", "", "localtest.me:{port}"),
)
OTHER_ORIGINS = (
    "https://evil.example",
    "null",
    "http://127.0.0.1:1",
    "https://127.0.0.1:{port}",
    "http://localhost.evil:{port}",
)


def code_of(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.json()["error"]["code"]


async def routes(page: Paged) -> list[tuple[str, str]]:
    """Every method and path of the document, with something in the place of each parameter."""
    document = (await page.get("/openapi.json")).json()
    found = [
        (method.upper(), path.replace("{task}", "1").replace("{", "").replace("}", ""))
        for path, methods in document["paths"].items()
        for method in methods
    ]
    assert len(found) > 25
    return found


async def test_the_page_listens_on_loopback_only(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        listening = [link for link in psutil.Process().net_connections("inet") if link.status == "LISTEN"]
        assert {(link.laddr.ip, link.laddr.port) for link in listening} == {("127.0.0.1", page.port)}


@pytest.mark.parametrize("said", [{}, {"Authorization": "Bearer " + "0" * 64}, {"Cookie": "passloop-1=x"}])
async def test_every_route_and_method_is_refused_without_the_token(tmp_path: Path, said: dict[str, str]) -> None:
    async with paged(tmp_path) as page:
        known = await routes(page)
        paths = sorted({path for _, path in known} | {"/api/v1/nowhere", "/docs", "/api", "/healthz", "/metrics"})
        methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
        asked = {*known, *((method, path) for path in paths for method in methods)}
        let_in = [(m, p, r.status) for m, p in asked if (r := await page.bare(m, p, **said)).status not in (401, 403)]
        assert let_in == []


async def test_the_token_is_asked_for_before_a_route_or_a_value_is_looked_at(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        for method, path, body in (("DELETE", "/status", None), ("GET", "/nowhere", None), ("POST", "/submit", b"{")):
            assert (await page.bare(method, f"/api/v1{path}", body)).status == 401
            assert (await page.ask(method, path, body)).status in (400, 404, 405)


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "bearer bearer"])
async def test_only_a_bearer_token_counts(tmp_path: Path, scheme: str) -> None:
    async with paged(tmp_path) as page:
        reply = await page.bare("GET", "/api/v1/status", Authorization=f"{scheme} {page.token}".strip())
        assert code_of(reply) == (401, "no_token")
        assert (await page.bare("GET", f"/api/v1/status?token={page.token}")).status == 401


async def test_a_host_that_is_not_exactly_ours_is_refused_whatever_else_is_right(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        right = {"Authorization": f"Bearer {page.token}"}
        for host in (f"127.0.0.1:{page.port}", f"localhost:{page.port}"):
            assert (await page.bare("GET", "/api/v1/status", Host=host, **right)).status == 200
        for hostile in HOSTILE_HOSTS:
            host = hostile.format(port=page.port)
            for path in ("/api/v1/status", "/", "/static/index.html", "/open/x"):
                reply = await page.bare("GET", path, Host=host, **right)
                assert reply.status in (400, 403), (host, path, reply)


async def test_an_absolute_address_cannot_replace_the_host(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        for target in ("http://evil.example/api/v1/status", f"http://127.0.0.1:{page.port}/api/v1/status", "*"):
            reply = await page.bare("GET", target, Authorization=f"Bearer {page.token}")
            assert reply.status in (400, 403)


async def test_two_hosts_are_refused(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        head = f"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nHost: evil.example\r\n"
        reply = await page.raw(f"{head}Authorization: Bearer {page.token}\r\nConnection: close\r\n\r\n".encode())
        assert reply.status in (400, 403)


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_another_origin_is_refused_by_every_method(tmp_path: Path, method: str, origin: str) -> None:
    async with paged(tmp_path) as page:
        said = {"Cookie": await page.cookie(), "Origin": origin.format(port=page.port)}
        for path in ("/api/v1/events", "/api/v1/tasks/cancel", "/api/v1/down"):
            assert code_of(await page.bare(method, path, **said)) == (403, "wrong_origin")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_what_another_site_asks_for_is_refused_by_sec_fetch_site(tmp_path: Path, site: str) -> None:
    async with paged(tmp_path) as page:
        for said in ({"Cookie": await page.cookie()}, {"Authorization": f"Bearer {page.token}"}):
            reply = await page.bare("POST", "/api/v1/tasks/cancel", {"select": ["1"]}, Sec_Fetch_Site=site, **said)
            assert code_of(reply) == (403, "wrong_origin")
        stream = await page.bare("GET", "/api/v1/events" if site != "none" else "/nowhere", Sec_Fetch_Site=site)
        assert stream.status == (403 if site != "none" else 401)


async def test_a_cookie_alone_changes_nothing(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        cookie, body = await page.cookie(), {"select": ["1-9"]}
        (task,) = await page.submit()
        assert code_of(await page.bare("POST", "/api/v1/tasks/cancel", body, Cookie=cookie)) == (403, "wrong_origin")
        assert (await page.get(f"/tasks/{task}")).json()["task"]["state"] != "cancelled"
        own = f"http://127.0.0.1:{page.port}"
        reply = await page.bare("POST", "/api/v1/tasks/cancel", body, Cookie=cookie, Origin=own)
        assert reply.json()["changed"] == [task]


async def test_the_cookie_reads_and_is_not_the_token(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        cookie = await page.cookie()
        assert page.token not in cookie
        reply = await page.bare("GET", "/api/v1/status", Cookie=f"theme=dark; {cookie}")
        assert reply.status == 200
        wrong = cookie[:-1] + ("0" if cookie[-1] != "0" else "1")
        assert (await page.bare("GET", "/api/v1/status", Cookie=wrong)).status == 401
        assert (await page.bare("GET", "/api/v1/status", Authorization=f"Bearer {cookie}")).status == 401


async def test_the_cookie_is_strict_and_out_of_reach_of_scripts(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        made = page.host.page.one_time_url()
        assert made is not None
        reply = await page.bare("GET", made.url.removeprefix(page.host.page.url or ""))
        attributes = {part.strip() for part in reply.fields["set-cookie"].split(";")[1:]}
        assert {"SameSite=Strict", "HttpOnly", "Path=/"} <= attributes
        assert reply.fields["cache-control"] == "no-store"


async def test_a_one_time_address_opens_once(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        made = (await page.post("/page")).json()
        target = made["url"].removeprefix(page.host.page.url or "")
        assert "set-cookie" not in (await page.bare("HEAD", target)).fields
        first, second = await page.bare("GET", target), await page.bare("GET", target)
        assert (first.status, second.status) == (200, 403)
        assert "set-cookie" not in second.fields
        assert (await page.bare("GET", "/open/")).status == 403


async def test_a_one_time_address_is_good_for_ten_minutes(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        codes = Codes(page.rig.clock)
        early, late = codes.make()[0], codes.make()[0]
        page.rig.clock.advance(CODE_LIVES)
        assert codes.use(early)
        page.rig.clock.advance(1)
        assert not codes.use(late)


def test_only_the_latest_codes_are_kept(tmp_path: Path) -> None:
    class Still:
        def now(self) -> int:
            return 0

        wall = now

    codes = Codes(Still())
    made = [codes.make()[0] for _ in range(70)]
    assert [codes.use(code) for code in made].count(True) == 64


def test_the_token_is_256_bits_in_a_file_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = load_token(path)
    assert len(bytes.fromhex(token)) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_token(path) == token
    assert Keys(token, port=1).is_token(token)
    assert not Keys(token, port=1).is_token(token[:-1])


def damaged(path: Path, how: str) -> None:
    """Make a token's file one that is not to be trusted."""
    if how == "empty":
        path.write_text("")
    elif how == "readable by others":
        path.chmod(0o644)
    elif how == "a link":
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    else:
        path.write_text("0" * 63 + "\n")


@pytest.mark.parametrize("how", ["empty", "readable by others", "short"])
def test_a_token_that_may_be_known_is_replaced(tmp_path: Path, how: str) -> None:
    path = tmp_path / "token"
    old = load_token(path)
    damaged(path, how)
    assert load_token(path) != old
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_token_that_is_a_link_is_never_followed(tmp_path: Path) -> None:
    path = tmp_path / "token"
    load_token(path)
    damaged(path, "a link")
    with pytest.raises(OSError):
        load_token(path)


async def test_a_new_token_makes_old_cookies_worthless(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        cookie, port = await page.cookie(), page.port
        page.rig.home.token.unlink()
    async with paged(tmp_path) as page:
        assert page.port == port
        assert (await page.bare("GET", "/api/v1/status", Cookie=cookie)).status == 401


async def test_a_cookie_survives_a_restart(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        cookie = await page.cookie()
    async with paged(tmp_path) as page:
        assert (await page.bare("GET", "/api/v1/status", Cookie=cookie)).status == 200


async def test_a_cookie_that_was_shown_to_whoever_took_the_port_opens_no_other(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        cookie, port = await page.cookie(), page.port
    with listen_on_loopback(port):
        async with paged(tmp_path) as page:
            assert page.port != port
            shown = f"{cookie_name(page.port)}={cookie.partition('=')[2]}"
            assert (await page.bare("GET", "/api/v1/status", Cookie=shown)).status == 401


async def test_no_answer_allows_another_origin(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        own = f"http://127.0.0.1:{page.port}"
        for method, path in (("GET", "/status"), ("OPTIONS", "/status"), ("GET", "/nowhere")):
            fields = (await page.ask(method, path, Origin=own)).fields
            assert [name for name in fields if name.startswith("access-control")] == []


async def test_every_answer_forbids_what_is_not_ours(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        for path in ("/", "/static/index.html", "/open/x", "/api/v1/status", "/metrics"):
            fields = (await page.bare("GET", path)).fields
            policy = {part.strip() for part in fields["content-security-policy"].split(";")}
            assert "default-src 'self'" in policy
            assert "unsafe" not in fields["content-security-policy"]
            assert (fields["x-content-type-options"], fields["referrer-policy"]) == ("nosniff", "no-referrer")


async def test_the_token_is_in_no_answer(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        keys = Keys(page.token, port=page.port)
        for method, path in await routes(page):
            if method == "GET" and not path.endswith("/events"):
                body = (await page.bare(method, path, Authorization=f"Bearer {page.token}")).body
                assert page.token.encode() not in body
                assert keys.cookie.encode() not in body


async def test_a_port_that_is_taken_leaves_the_engine_without_a_page_and_says_why(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        for said, why in (
            (str(page.port), "cannot be had"),
            ("off", "is off"),
            ("70000", "cannot be had"),
            ("x", "no port"),
        ):
            other = await open_page(None, page.rig.home, page.rig.clock, said)
            assert other.url is None
            assert why in other.absent


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_home_that_takes_no_token_leaves_the_engine_without_a_page(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        page.rig.home.token.unlink()
        page.rig.home.path.chmod(0o500)
        try:
            assert "token" in (await open_page(None, page.rig.home, page.rig.clock, "auto")).absent
        finally:
            page.rig.home.path.chmod(0o700)
