"""Shows what the runtime returns, and asks it for more; computes nothing itself."""
