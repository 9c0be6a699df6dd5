"""gRPC in and out: translation, errors, limits, who may come in. Knows the jobs room, never the algorithm."""

from .certificate import Certificate, CertificateError, own_certificate, read_certificate
from .front_door import CannotServe, Settings, serve
from .guests import Guest, Guests
from .stylizer import Policy

__all__ = [
    "CannotServe",
    "Certificate",
    "CertificateError",
    "Guest",
    "Guests",
    "Policy",
    "Settings",
    "own_certificate",
    "read_certificate",
    "serve",
]
