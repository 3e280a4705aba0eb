"""The command line: reads a configuration, asks `study` for the fits, and shows what they say. The room that prints."""
