"""What a person passes, read and checked the same in every wing: labels of tasks, numbers, weights, classes."""
