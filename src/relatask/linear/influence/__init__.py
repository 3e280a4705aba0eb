"""Who taught whom: hat matrices between tasks, what removing a task does, degrees of freedom, errors, intervals."""
