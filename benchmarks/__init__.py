"""Speed, measured as a ratio against something else in the same run. `make bench` writes results.md."""
