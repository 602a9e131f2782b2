"""All code that talks to AWS or HTTP callers.

* A module that implements a port has the port's name.
* http_*, identity, issuer_keys and authorizer_context read and answer the API's requests.
* The other modules are parts of these, such as the table, its layout and the bucket.
"""
