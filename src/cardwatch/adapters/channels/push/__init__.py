"""Notifications on devices: apps by Firebase Cloud Messaging, browsers by their push services."""
