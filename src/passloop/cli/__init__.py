"""The command line: one file per verb in `verbs/`, a client of the engine's socket, and what they share.

Start-up time is a promise here: a module imports only what its verb needs, and never the page's libraries.
"""
