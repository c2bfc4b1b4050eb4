"""SAMP, the Simple Application Messaging Protocol (IVOA standard 1.3), for asyncio.

    async with Client("my tool") as client:
        await client.notify_all("coord.pointAt.sky", {"ra": 10.68, "dec": 41.27})

A hub runs with `python -m asyncsamp.hub`, or `async with Hub() as hub:` in a program.
"""

from .client.connection import DirectConnection, StandardConnection
from .client.hub_changes import HubChange, HubChangeStream
from .client.stream import MessageStream
from .client.tracker import OtherClients, RemoteClient
from .client.web import WebConnection
from .data.client import Client
from .data.results import Answer, Selection, SendError, Sent
from .data.streams import Received
from .errors import (
    CallTimeoutError,
    DataError,
    FaultCode,
    FaultError,
    HubFaultError,
    HubLostError,
    HubNotFoundError,
    HubRunningError,
    InvitationError,
    LocalProtocolError,
    LockfileError,
    MissingExtraError,
    NobodyError,
    NoRecipientsError,
    NotRegisteredError,
    NotSubscribedError,
    ProtocolError,
    RegistrationError,
    RemoteProtocolError,
    SampError,
    StateError,
    ToolError,
    UnknownClientError,
    WaitTimeoutError,
    WrongLoopError,
)
from .hub.core import ClientStanding
from .hub.event_stream import HubEventStream
from .hub.hub import Hub
from .hub.observer import ClientEvent, MessageEvent
from .hub.permissions import Permission, Permissions, Subject
from .hub.profiles.web import (
    AskingConsent,
    Consent,
    ConsentAnswer,
    ConsentQuestion,
    OriginStore,
    TerminalConsent,
    WebProfile,
    allow_all,
    allow_origins,
    deny_all,
)
from .limits import Limits
from .notebook import connect
from .values import Message, ReplyError, Response, Value, ValueMap, as_bool, as_float, as_int

__all__ = [
    "Answer",
    "AskingConsent",
    "CallTimeoutError",
    "Client",
    "ClientEvent",
    "ClientStanding",
    "Consent",
    "ConsentAnswer",
    "ConsentQuestion",
    "DataError",
    "DirectConnection",
    "FaultCode",
    "FaultError",
    "Hub",
    "HubChange",
    "HubChangeStream",
    "HubEventStream",
    "HubFaultError",
    "HubLostError",
    "HubNotFoundError",
    "HubRunningError",
    "InvitationError",
    "Limits",
    "LocalProtocolError",
    "LockfileError",
    "Message",
    "MessageEvent",
    "MessageStream",
    "MissingExtraError",
    "NoRecipientsError",
    "NobodyError",
    "NotRegisteredError",
    "NotSubscribedError",
    "OriginStore",
    "OtherClients",
    "Permission",
    "Permissions",
    "ProtocolError",
    "Received",
    "RegistrationError",
    "RemoteClient",
    "RemoteProtocolError",
    "ReplyError",
    "Response",
    "SampError",
    "Selection",
    "SendError",
    "Sent",
    "StandardConnection",
    "StateError",
    "Subject",
    "TerminalConsent",
    "ToolError",
    "UnknownClientError",
    "Value",
    "ValueMap",
    "WaitTimeoutError",
    "WebConnection",
    "WebProfile",
    "WrongLoopError",
    "allow_all",
    "allow_origins",
    "as_bool",
    "as_float",
    "as_int",
    "connect",
    "deny_all",
]

__version__ = "0.1.0"
