"""The names of astropy.samp on asyncsamp's own hub and client machinery.

from asyncsamp import compat as samp

client = samp.SAMPIntegratedClient("me")
client.connect()
"""

from .client import SAMPClient
from .constants import SAFE_MTYPES, SAMP_ICON, SAMP_STATUS_ERROR, SAMP_STATUS_OK, SAMP_STATUS_WARNING
from .errors import SAMPClientError, SAMPHubError, SAMPProxyError, SAMPWarning
from .hub import SAMPHubServer
from .hub_proxy import SAMPHubProxy
from .installing import install
from .integrated_client import SAMPIntegratedClient
from .settings import Conf, conf
from .utils import SAMPMsgReplierWrapper, SAMPXXEServerProxy, safe_xmlrpc_loads
from .vo_helpers import (
    accessible_table,
    connection,
    find_client_id,
    send_image_to,
    send_product_to,
    send_spectrum_to,
    send_table_to,
)
from .web_profile import WebProfileDialog

__all__ = [
    "SAFE_MTYPES",
    "SAMP_ICON",
    "SAMP_STATUS_ERROR",
    "SAMP_STATUS_OK",
    "SAMP_STATUS_WARNING",
    "Conf",
    "SAMPClient",
    "SAMPClientError",
    "SAMPHubError",
    "SAMPHubProxy",
    "SAMPHubServer",
    "SAMPIntegratedClient",
    "SAMPMsgReplierWrapper",
    "SAMPProxyError",
    "SAMPWarning",
    "SAMPXXEServerProxy",
    "WebProfileDialog",
    "accessible_table",
    "conf",
    "connection",
    "find_client_id",
    "install",
    "safe_xmlrpc_loads",
    "send_image_to",
    "send_product_to",
    "send_spectrum_to",
    "send_table_to",
]
