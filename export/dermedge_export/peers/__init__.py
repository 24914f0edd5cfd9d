"""What people would use instead, measured beside this project in one run: `make bench-peers`."""
