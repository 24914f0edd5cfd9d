"""One file that installs dermedge on a Debian machine without a network."""
