"""Which trial comes next: samplers told what the store holds, answers to what is known, and when to stop."""
