"""Apps turn a spec into tasks and outcomes into answers. They never wait, acquire or retry: that is the
kernel's work.
"""
