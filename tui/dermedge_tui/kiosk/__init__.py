"""`dermedge kiosk`: the application for strangers at a public box.

An application of its own, made of the same parts: what the ordinary one learns to do is not thereby offered to
strangers.
"""
