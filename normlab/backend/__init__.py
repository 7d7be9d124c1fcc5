"""MXNet behind one door: its import, graphs and devices."""
