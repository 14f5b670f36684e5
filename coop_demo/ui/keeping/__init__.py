"""What people made, on disk: it survives a restart, and travels as a project file."""
