"""A Prefect server that PREFECT_API_URL names: does it answer, does it let us in, does it speak our version."""

import base64
import importlib.metadata
import os
import ssl

import httpx

from data.validation import InputError
from tasks.places import without_credentials
from tasks.tracking import TIMEOUT

CLOUD = "https://api.prefect.cloud"


class PrefectServerError(InputError):
    """A Prefect server that cannot be used; the message is one line, without credentials."""


def authorisation() -> dict[str, str]:
    """The header by which Prefect's own client would be let in: of PREFECT_API_AUTH_STRING or of PREFECT_API_KEY."""
    from prefect.settings import get_current_settings  # takes long to import

    api = get_current_settings().api
    if api.auth_string is not None:
        token = base64.b64encode(api.auth_string.get_secret_value().encode()).decode()
        return {"Authorization": f"Basic {token}"}
    return {"Authorization": f"Bearer {api.key.get_secret_value()}"} if api.key is not None else {}


def check_prefect_server() -> str:
    """Make sure that the server in PREFECT_API_URL can be used, if there is one; returns its version, else "".

    Raises
    ------
    PrefectServerError
        If it does not answer within ten seconds, refuses us, or is of another major version.
    """
    address = os.environ.get("PREFECT_API_URL", "")
    if not address or address.startswith(CLOUD):
        return ""
    shown = f"PREFECT_API_URL={without_credentials(address)!r}"
    try:
        answer = httpx.get(
            f"{address.rstrip('/')}/admin/version", headers=authorisation(), timeout=TIMEOUT, verify=_trusted()
        )
        refused = answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}
        version = "" if refused else str(answer.raise_for_status().json())
    except ValueError:  # of a page in place of JSON
        raise PrefectServerError(f"{shown} is no Prefect API: its address ends in /api") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise PrefectServerError(
            f"{shown} does not answer ({type(error).__name__}): start the server, correct the address or unset it"
        ) from None
    if refused:
        raise PrefectServerError(
            f"{shown} does not let us in: set PREFECT_API_AUTH_STRING to what its PREFECT_SERVER_API_AUTH_STRING is"
        )
    here = importlib.metadata.version("prefect")
    if version.split(".")[0] != here.split(".")[0]:
        raise PrefectServerError(f"{shown} has version {version}, here is {here}: install the same version")
    return version


def _trusted() -> ssl.SSLContext:
    """The authorities that Prefect's client is told to trust with https."""
    from prefect.settings import get_current_settings

    api = get_current_settings().api
    context = ssl.create_default_context(cafile=api.ssl_cert_file)
    if api.tls_insecure_skip_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
