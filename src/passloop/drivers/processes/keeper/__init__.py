"""The small processes that stand over attempts: one zygote per engine, one shim per attempt.

These files are loaded by path into a bare interpreter (`python -I -S`), so that a fork of it stays cheap.
They import a few modules of the standard library and each other, and must never import anything else of
passloop.
"""
