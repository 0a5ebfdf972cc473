"""Has exchangelib ask for an address by Autodiscover, and prints each protocol that it reads, as a line of JSON.

Usage: exchange.py ADDRESS
"""
import json
import logging
import sys

from exchangelib.autodiscover.discovery.pox import PoxAutodiscovery


class Discovery(PoxAutodiscovery):
    """What exchangelib does, up to where it would go on to an Exchange server."""

    def _build_response(self, ad_response):
        return ad_response


logging.basicConfig(stream=sys.stderr, level=logging.DEBUG)
for protocol in Discovery(sys.argv[1]).discover().account.protocols:
    print(json.dumps({name: getattr(protocol, name) for name in ("type", "server", "port", "ssl", "spa", "login_name")}))
