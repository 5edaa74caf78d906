"""A Twilio of our own on the loopback interface, written from Twilio's documents and not from the adapter.

It has the Messages resource with its errors, opt-outs, status callbacks and signed webhooks, and it can be slow, dead
or forgetful. `tests/fakes/twilio_server.py` is where tests import it from.
"""
