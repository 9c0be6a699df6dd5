"""The way to a server: the helper process at the other end of a pipe, and how things stand with it. No widgets here."""
