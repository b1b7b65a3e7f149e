"""The Python API behind `import passloop`: clients of the engine's socket, and the engine where there is none."""
