"""A client of pyvo.samp or astropy.samp, driven over standard input and output by lines of JSON.

Run as `python python_peer.py pyvo.samp`. It runs in a process of its own, for its threads and warnings.
See `scripted.py` for the language.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import warnings
from typing import Any

_output = threading.Lock()


def emit(**line: Any) -> None:
    with _output:
        print(json.dumps(line), flush=True)


class Peer:
    def __init__(self, samp: Any) -> None:
        self.client = samp.SAMPIntegratedClient(name=samp.__name__, addr="127.0.0.1")
        self.client.connect()
        emit(event="ready", id=self.client.get_public_id())

    def received(
        self, key: str, sender: str, msg_id: str | None, mtype: str, params: Any, extra: Any
    ) -> None:
        message = {"samp.mtype": mtype, "samp.params": params, **extra}
        if msg_id is None:
            emit(event="notification", sender=sender, message=message)
            return
        emit(event="call", sender=sender, id=msg_id, message=message)
        if mtype == "test.fail":
            self.client.ereply(msg_id, "samp.error", error={"samp.errortxt": "told to fail"})
        elif mtype != "test.hold":
            self.client.ereply(msg_id, "samp.ok", result=params)

    def responded(self, key: str, responder: str, tag: str, response: Any) -> None:
        emit(event="response", sender=responder, id=tag, message=response)

    def declare_subscriptions(self, subscriptions: dict[str, Any]) -> None:
        for mtype, annotation in subscriptions.items():
            # One binding for both ways would take a call's handler to be a notification's.
            self.client.bind_receive_call(mtype, self.received, declare=False, metadata=annotation)
            self.client.bind_receive_notification(mtype, self.received, declare=False, metadata=annotation)
        self.client.declare_subscriptions()

    def call(self, recipient: str, tag: str, message: Any) -> Any:
        self.client.bind_receive_response(tag, self.responded)
        return self.client.call(recipient, tag, message)

    def call_all(self, tag: str, message: Any) -> Any:
        self.client.bind_receive_response(tag, self.responded)
        return self.client.call_all(tag, message)

    def do(self, name: str, arguments: list[Any]) -> Any:
        operation = getattr(self, name, None) or getattr(self.client, name)
        return operation(*arguments)


def main() -> None:
    # astropy.samp warns of its own end; that is no news for a test of ours.
    warnings.simplefilter("ignore")
    samp = importlib.import_module(sys.argv[1])
    samp.conf.use_internet = False
    peer = Peer(samp)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            emit(answer=peer.do(name, arguments))
        except Exception as error:
            emit(fault=f"{type(error).__name__}: {error}")
    if peer.client.is_connected:
        peer.client.disconnect()


if __name__ == "__main__":
    main()
