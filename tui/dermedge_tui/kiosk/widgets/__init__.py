"""The parts that the kiosk's pages are made of."""
