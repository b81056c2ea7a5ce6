"""What people use: command line, broker, exporter, verification, demo, QR images, monitoring."""
