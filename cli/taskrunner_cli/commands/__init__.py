"""The commands, one module per thing they are about; each registers itself on the app."""
