"""gRPC in and out: translation, errors, limits, who may come in. Knows the jobs room, never the algorithm."""

from .certificate import Certificate, CertificateError, own_certificate, read_certificate
from .config import ServerConfig
from .guests import Guest, Guests
from .server import CannotServe, serve

__all__ = [
    "CannotServe",
    "Certificate",
    "CertificateError",
    "Guest",
    "Guests",
    "ServerConfig",
    "own_certificate",
    "read_certificate",
    "serve",
]
