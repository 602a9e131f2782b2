"""Everything that a command prints: text for people, JSON for programs."""
