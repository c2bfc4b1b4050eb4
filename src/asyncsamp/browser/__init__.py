"""A hub on the user's desktop, reached by the web page that is open there anyway.

The program runs elsewhere: a notebook's kernel in a data centre, the server of an application. Its page, in
the user's browser, relays: `connect("notebook", via="browser")` for Jupyter, `PageSocket` for any page.
"""

from .connection import BrowserConnection
from .relay import PageRelay
from .socket import PageSocket, page_module

__all__ = ["BrowserConnection", "PageRelay", "PageSocket", "page_module"]
