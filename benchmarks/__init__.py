"""What is measured. Each script runs by itself; the last figures stand in README.md."""
