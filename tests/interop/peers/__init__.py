"""Real programs to test against: bounded in time, each ended by its own process group.

A peer that is not installed skips its test and says how to install it; where CI=true it fails instead.
"""

from .desktop import DS9_NAME, Screen, aladin_on, ds9, ds9_on, screen, topcat_on
from .java import calc_storm, hub_tester, jsamp_hub, message_sender, snooper, stilts_checksum, stilts_send
from .own import own_hub
from .process import PeerError, Process, hub_variable, process, running_at
from .raw_ds9 import RawDs9, ok, raw_ds9
from .scripted import Event, PeerFaultError, ScriptedPeer, python_hub, scripted_peer

__all__ = [
    "DS9_NAME",
    "Event",
    "PeerError",
    "PeerFaultError",
    "Process",
    "RawDs9",
    "Screen",
    "ScriptedPeer",
    "aladin_on",
    "calc_storm",
    "ds9",
    "ds9_on",
    "hub_tester",
    "hub_variable",
    "jsamp_hub",
    "message_sender",
    "ok",
    "own_hub",
    "process",
    "python_hub",
    "raw_ds9",
    "running_at",
    "screen",
    "scripted_peer",
    "snooper",
    "stilts_checksum",
    "stilts_send",
    "topcat_on",
]
