"""Training, export and calibration of the compact tower."""
