"""Parts that help to test what stands on passloop: shipped, and never imported by passloop itself."""
