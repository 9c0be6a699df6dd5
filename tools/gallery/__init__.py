"""Paintings of our own, made from nothing but seeds, that the server offers as styles."""
