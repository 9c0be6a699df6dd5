"""The whole server on loopback: promises to clients and operators."""
