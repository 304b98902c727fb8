"""Hundreds of recorded calls through the real daemon while faults of all kinds strike: python -m tests.soak"""
