"""The helper that a host (GIMP) starts: frames in on stdin, frames out on stdout, the client library in between.

The protocol is docs/helper-protocol.md. Nothing here knows a host, and nothing else may write to stdout.
"""

from impasto._helper._session import serve_host

__all__ = ["serve_host"]
