"""One painting: what is asked for, how it goes, and what becomes of it. No widgets here."""
