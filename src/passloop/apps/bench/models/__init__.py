"""Where models come from: finding, naming and digesting them is light; converting one is a worker's work."""
