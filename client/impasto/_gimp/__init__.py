"""The way into GIMP and out again: its profiles, the plug-in's files, the unit for the helper, the doctor.

What the plug-in then talks to is the helper (`impasto._helper`).
"""
