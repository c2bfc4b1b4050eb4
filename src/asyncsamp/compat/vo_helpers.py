"""pyvo's helpers: sending tables and products by the name of a client."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._util import file_urls
from .integrated_client import SAMPIntegratedClient

__all__ = [
    "accessible_table",
    "connection",
    "find_client_id",
    "send_image_to",
    "send_product_to",
    "send_spectrum_to",
    "send_table_to",
]


@contextmanager
def connection(
    client_name: str = "pyvo client", description: str = "A generic PyVO client", **kwargs: Any
) -> Iterator[SAMPIntegratedClient]:
    """Connect a client for the length of a `with` block.

    Args:
        client_name: What the client is called.
        description: What it says of itself.
        kwargs: What else goes into `SAMPIntegratedClient`.

    Returns:
        What to enter; it gives the client.
    """
    client = SAMPIntegratedClient(name=client_name, description=description, **kwargs)
    client.connect()
    try:
        yield client
    finally:
        client.disconnect()


def find_client_id(conn: SAMPIntegratedClient, name: str) -> str:
    """Return the id of the client with that samp.name.

    Args:
        conn: A client that is connected.
        name: A samp.name.

    Raises:
        KeyError: There is none.
    """
    for client_id in conn.get_registered_clients():
        if conn.get_metadata(client_id).get("samp.name") == name:
            return str(client_id)
    raise KeyError(name)


def send_table_to(
    conn: SAMPIntegratedClient, table: Any, client_name: str | None = None, name: str = "data"
) -> None:
    """Send a table to one client, or to every other client in turn, and wait for each answer.

    Args:
        conn: A client that is connected.
        table: A table, or a VOTable.
        client_name: Who gets it, by samp.name; None for all who take it.
        name: What it is called.
    """
    with accessible_table(table) as url:
        message = {"samp.mtype": "table.load.votable", "samp.params": {"url": url, "name": name}}
        if client_name is not None:
            recipients = [find_client_id(conn, client_name)]
        else:
            # pyvo asks all, and fails at the first that takes no tables: the hub itself.
            recipients = list(conn.get_subscribed_clients("table.load.votable"))
        for client_id in recipients:
            conn.call_and_wait(client_id, message, "10")


def send_product_to(
    conn: SAMPIntegratedClient, url: str, mtype: str, client_name: str | None = None, name: str = "data"
) -> None:
    """Have one client, or all who take `mtype`, load a URL; waits for no answer.

    Args:
        conn: A client that is connected.
        url: The URL.
        mtype: The mtype.
        client_name: Who gets it, by samp.name; None for all who take it.
        name: What it is called.
    """
    message = {"samp.mtype": mtype, "samp.params": {"url": url, "name": name}}
    if client_name is None:
        conn.notify_all(message)
    else:
        conn.notify(find_client_id(conn, client_name), message)


def send_spectrum_to(
    conn: SAMPIntegratedClient, url: str, client_name: str | None = None, name: str = "data"
) -> None:
    """Have a spectrum loaded; see `send_product_to`.

    Args:
        conn: A client that is connected.
        url: The URL.
        client_name: Who gets it, by samp.name; None for all who take it.
        name: What it is called.
    """
    send_product_to(conn, url, "spectrum.load.ssa-generic", client_name=client_name, name=name)


def send_image_to(
    conn: SAMPIntegratedClient, url: str, client_name: str | None = None, name: str = "data"
) -> None:
    """Have an image loaded; see `send_product_to`.

    Args:
        conn: A client that is connected.
        url: The URL.
        client_name: Who gets it, by samp.name; None for all who take it.
        name: What it is called.
    """
    send_product_to(conn, url, "image.load.fits", client_name=client_name, name=name)


@contextmanager
def accessible_table(table: Any) -> Iterator[str]:
    """Write a table, or a VOTable, to a file for the length of a `with` block, and give its URL.

    Args:
        table: A table, or a VOTable.

    Returns:
        What to enter; it gives the URL.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.xml"
        if hasattr(table, "to_xml"):
            table.to_xml(str(path))
        else:
            table.write(str(path), format="votable")
        yield file_urls.make(str(path))
