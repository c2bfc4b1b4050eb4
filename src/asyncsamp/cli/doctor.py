"""What may be wrong between this user and the hub, each finding with what to do. Secrets are never shown."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .._util import file_urls
from ..client.rooms import Room
from ..data.client import Client
from ..discovery import locate, web_appname
from ..errors import LockfileError, SampError
from .clients import Ping, ping_one, who
from .elsewhere import account_home, hubs_elsewhere
from .hubs import FoundHub, all_hubs, choose_hub
from .output import safe, say, say_json, styled
from .running import ERROR, OK

__all__ = ["Finding", "about_surroundings", "doctor"]

_WEB_PORT = 21012
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: state is "ok", "note" or "wrong", and `advice` says what to do."""

    what: str
    state: str
    text: str
    advice: str = ""


async def doctor(hub: str | None, json: bool, timeout: float) -> int:
    """Show all findings; exit code 1 if something is wrong. Each ping may take `timeout` seconds."""
    hubs = await all_hubs()
    findings = [
        *await asyncio.to_thread(_about_home),
        *await asyncio.to_thread(_about_lockfile),
        *await _about_hubs(hubs),
        *_about_environment(),
        *await asyncio.to_thread(_about_web_port),
    ]
    if hub is not None or web_appname() is not None or any(each.chosen and not each.problem for each in hubs):
        findings += await _about_clients(hub, timeout)  # else it is said why nobody can register
    if json:
        say_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _show(finding)
    return ERROR if any(finding.state == "wrong" for finding in findings) else OK


def _show(finding: Finding) -> None:
    colour = {"ok": "green", "wrong": "red"}.get(finding.state, "yellow")
    say(f"{styled(f'{finding.state:5}', colour)} {finding.what}: {safe(finding.text)}")
    if finding.advice:
        say(f"      {safe(finding.advice)}")


def _about_home() -> list[Finding]:
    home = Path(os.environ.get("HOME") or Path.home())
    if not home.is_dir():
        return [Finding("home folder", "wrong", f"{home} is not there", "set HOME, or SAMP_HUB")]
    if not os.access(home, os.W_OK):
        advice = "set SAMP_HUB=std-lockurl:file:///FOLDER/samp to a folder that you may write in"
        return [
            Finding("home folder", "wrong", f"{home} cannot be written, so no hub can publish itself", advice)
        ]
    account = account_home()
    if account is not None and account != home:
        advice = "programs in Java (TOPCAT, Aladin) look for a hub in the latter, unless told by -Duser.home"
        return [Finding("home folder", "note", f"HOME is {home}, but that of the account {account}", advice)]
    return [Finding("home folder", "ok", f"{home} can be written")]


def _about_lockfile() -> list[Finding]:
    if web_appname() is not None:
        return [Finding("lockfile", "note", "SAMP_HUB asks for the Web Profile, which needs none")]
    try:
        location = locate()
    except LockfileError as error:
        return [Finding("lockfile", "wrong", str(error), "unset SAMP_HUB to use ~/.samp")]
    path = location.path
    if path is None or not path.exists():
        return []  # what is said about hubs says it
    if not os.access(path, os.R_OK):
        return [Finding("lockfile", "wrong", f"{path} cannot be read", "is it another user's? See its owner")]
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name != "nt" and mode & 0o077:
        advice = f"chmod 600 {path}, and restart the hub: others may have read its secret"
        return [Finding("lockfile", "wrong", f"{path} can be read by others (mode {mode:o})", advice)]
    return [Finding("lockfile", "ok", f"{path}, mode {mode:o}")]


async def _about_hubs(hubs: Sequence[FoundHub]) -> list[Finding]:
    running = [hub for hub in hubs if not hub.problem]
    findings = []
    for hub in hubs:
        if hub.problem and hub.lockfile is not None:
            advice = "start a hub (asyncsamp hub), which replaces it, or remove that file"
            findings.append(Finding("hub", "wrong", f"{hub.location.place}: {hub.problem}", advice))
        elif hub.problem and hub.chosen:
            advice = (
                "start one: asyncsamp hub" if hub.problem == "no lockfile" else "remove it, and start a hub"
            )
            findings.append(Finding("hub", "wrong", f"{hub.location.description}: {hub.problem}", advice))
        elif hub.lockfile is not None:
            findings.append(Finding("hub", "ok", f"{hub.label or hub.name or 'a hub'} at {hub.lockfile.url}"))
    if len(running) > 1:
        advice = "tools on different hubs do not meet; give --hub LABEL, or stop all but one"
        findings.append(Finding("hubs", "note", f"{len(running)} run", advice))
    return [*findings, *_about_variable(hubs), *await _about_elsewhere(hubs)]


def _about_variable(hubs: Sequence[FoundHub]) -> list[Finding]:
    """Say that SAMP_HUB leads away from the hub that programs without it use."""
    path = locate({**os.environ, "SAMP_HUB": ""}).path
    usual = next((hub for hub in hubs if hub.location.path == path), None)
    chosen = next((hub for hub in hubs if hub.chosen), None)
    if usual is None or usual.problem or usual.chosen or chosen is None:
        return []
    text = f"it names {chosen.location.place}, but a hub runs in {path}, which this shell does not use"
    return [
        Finding("SAMP_HUB", "wrong" if chosen.problem else "note", text, "to use that one: unset SAMP_HUB")
    ]


async def _about_elsewhere(hubs: Sequence[FoundHub]) -> list[Finding]:
    """Say which hubs other programs of this user find, and this shell does not."""
    chosen = next((hub for hub in hubs if hub.chosen), None)
    here = "another place" if chosen is None else chosen.location.description
    state = "note" if any(hub.chosen and not hub.problem for hub in hubs) else "wrong"
    return [
        Finding(
            "hub elsewhere",
            state,
            f"a hub runs at {hub.url}, published in {hub.path}, where {hub.program} looks; "
            f"this shell looks at {here}, so the two do not meet",
            f"to use that hub here: export SAMP_HUB=std-lockurl:{file_urls.make(str(hub.path))}",
        )
        for hub in await hubs_elsewhere([each.location.path for each in hubs])
    ]


def _about_environment() -> list[Finding]:
    findings = []
    environment = {key.lower(): value for key, value in os.environ.items()}
    proxies = [name for name in _PROXIES if environment.get(name)]
    unproxied = environment.get("no_proxy", "")
    if proxies and "127.0.0.1" not in unproxied and unproxied != "*":
        advice = "export no_proxy=localhost,127.0.0.1; asyncsamp uses no proxy, but other tools may"
        findings.append(Finding("proxies", "note", f"set: {', '.join(proxies)}", advice))
    if os.environ.get("SSH_CONNECTION"):
        advice = "tools on the other machine have another hub; docs/remote.md tells of tunnels"
        findings.append(Finding("ssh", "note", "this shell came by ssh", advice))
    return [*findings, *about_surroundings()]


def about_surroundings(root: Path = Path("/"), release: str | None = None) -> list[Finding]:
    """Return what is to be known of a container and of WSL, by root folder and release of the system."""
    findings = []
    if (root / ".dockerenv").exists() or (root / "run" / ".containerenv").exists():
        advice = "loopback is the container's own: run hub and tools inside, or share the host's network"
        findings.append(Finding("container", "note", "this is a container", advice))
    if "microsoft" in (platform.release() if release is None else release).lower():
        advice = (
            "Windows tools look in the Windows home folder; set SAMP_HUB in both, with mirrored networking"
        )
        findings.append(Finding("WSL", "note", "this is the Windows Subsystem for Linux", advice))
    return findings


def _about_web_port() -> list[Finding]:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        taken = probe.connect_ex(("127.0.0.1", _WEB_PORT)) == 0
    if not taken:
        advice = "web pages cannot use SAMP now; asyncsamp hub listens there unless --no-web-profile"
        return [Finding("web port", "note", f"nobody listens on {_WEB_PORT}", advice)]
    advice = (
        "Chrome 142 and later ask before a page may use the local network: allow it for the site; "
        'a page in an iframe needs allow="loopback-network"'
    )
    return [Finding("web port", "ok", f"{_listener()} listens on {_WEB_PORT}", advice)]


def _listener() -> str:
    """Return who listens on the web port, as far as /proc tells; only our own processes are looked into."""
    try:
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        nodes = {line.split()[9] for line in lines if line.split()[1].endswith(f":{_WEB_PORT:04X}")}
        for process in Path("/proc").glob("[0-9]*"):
            if _holds(process, nodes):
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"{name} (pid {process.name})"
    except (OSError, IndexError):
        pass
    return "a program"


def _holds(process: Path, nodes: set[str]) -> bool:
    try:
        links = [str(link.readlink()) for link in (process / "fd").iterdir()]
    except OSError:
        return False
    return any(link == f"socket:[{node}]" for link in links for node in nodes)


async def _about_clients(hub: str | None, timeout: float) -> list[Finding]:
    """Register, let the hub call us back, and ping everybody."""
    try:
        lockfile = await choose_hub(hub)
        async with Client("asyncsamp doctor", lockfile=lockfile, reconnect=False) as client:
            others = await client.get_clients()
            findings = [await _callback(client, timeout), *map(_about_room, client.clients.rooms())]
            results = await asyncio.gather(*(ping_one(client, other, timeout) for other in others))
    except SampError as error:
        return [Finding("client", "wrong", f"cannot register: {error}", "start a hub: asyncsamp hub")]
    return [*findings, *(_about_ping(who(other), ping) for other, ping in zip(others, results, strict=True))]


def _about_room(room: Room) -> Finding:
    if not room.connected:
        advice = (
            "is the room's server there, and the tunnel? The hub tries again and again, and its log says why"
        )
        return Finding("room", "wrong", room.text, advice)
    if not room.hubs:
        advice = "has the other machine's hub joined, and the same room? Its clients appear as soon as it has"
        return Finding("room", "note", room.text, advice)
    return Finding("room", "ok", room.text)


def _about_ping(name: str, ping: Ping) -> Finding:
    text = f"{name}: {ping.text}"
    if ping.state == "silent":
        return Finding("client", "wrong", text, "it is busy, hangs or has gone; restart it")
    if ping.state == "failed":
        return Finding("client", "wrong", text, "see its own messages")
    return Finding("client", "ok", text)


async def _callback(client: Client, timeout: float) -> Finding:
    """Call ourselves through the hub."""
    try:
        await client.call(client.public_id, "samp.app.ping", timeout=timeout)
    except (SampError, TimeoutError) as error:
        advice = "is a firewall between programs of this machine, or does a proxy catch 127.0.0.1?"
        return Finding("callback", "wrong", f"the hub does not reach us: {error}", advice)
    return Finding("callback", "ok", "the hub reaches us")
