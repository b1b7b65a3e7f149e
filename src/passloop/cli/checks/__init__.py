"""The checks of `doctor`, by area. Each looks at one thing and returns a finding; none changes anything."""
