"""The door: the REST API, who may come in, and the live stream.

create_api(app)    an ASGI application, to be served or mounted
ApiServer          serves it beside an app, in a thread of its own
"""
