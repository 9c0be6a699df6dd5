"""How a channel encrypts: with the certificate that the invitation vouches for, and its token in every call."""

import base64
import hashlib
import time

import grpc

from impasto import _errors
from impasto._exceptions import AuthenticationError, ServerUnavailableError
from impasto._invitations import Invitation

OWN_NAME = "impasto"
"""The name in certificates that servers make for themselves, whatever their address."""
_RETRY_S = 0.2


def credentials(invitation: Invitation, patience_s: float) -> tuple[grpc.ChannelCredentials, list[tuple[str, str]]]:
    """For a channel, with the options that go with them. May ask the server for its certificate first.

    Raises AuthenticationError if it is another server than the invitation's, ServerUnavailableError if none answers.
    """
    token = grpc.access_token_call_credentials(invitation.token)
    if not invitation.fingerprint:
        return grpc.composite_channel_credentials(grpc.ssl_channel_credentials(), token), []
    pem = certificate(invitation, patience_s)
    encryption = grpc.ssl_channel_credentials(pem.encode())
    # The name says nothing that the certificate itself doesn't.
    options = [("grpc.ssl_target_name_override", OWN_NAME)]
    return grpc.composite_channel_credentials(encryption, token), options


def certificate(invitation: Invitation, patience_s: float) -> str:
    """The server's certificate, PEM, once it is seen to be the one that the invitation names.

    Raises AuthenticationError if it is another one, ServerUnavailableError if there is none to be had in time.
    """
    import ssl  # only where it is needed: `import impasto` has a budget

    pem = _shown_certificate(invitation.address, patience_s)
    found = base64.urlsafe_b64encode(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()).decode().rstrip("=")
    if found != invitation.fingerprint:
        raise AuthenticationError(
            f"What answers at {invitation.address} is not the server of your invitation: it shows another certificate. "
            "Either somebody is in between, or the server was set up anew; ask its operator for a new invitation.",
            reason="CERTIFICATE_UNKNOWN",
        )
    return pem


def _shown_certificate(address: str, patience_s: float) -> str:
    import ssl

    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=patience_s)
        except OSError as error:
            # An end in the middle of the handshake is a server that goes or comes.
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                raise ServerUnavailableError(
                    f"What answers at {address} does not encrypt: it is no Impasto server, or one that was started "
                    "without TLS.",
                    details=str(error),
                ) from None
            if time.monotonic() + _RETRY_S > deadline:
                text = str(error)
                raise ServerUnavailableError(_errors.unavailable_text(address, text), details=text) from None
            time.sleep(_RETRY_S)
