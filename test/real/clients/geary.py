"""Has Geary look for the servers of an address and log in, and prints Geary's file of the account.

Usage, in a D-Bus session: geary.py ADDRESS PASSWORD
Geary writes the file after it has logged in to both servers. Saving the password comes after that and may fail.
Prints nothing when Geary finds nothing: it asks for the servers then.
"""
import glob
import os
import sys

import window

window.start("geary")
window.press("Add")
window.fill("Email address", sys.argv[1])
window.press("Next")
window.label("Login name")
if "IMAP server" in window.settle():  # it shows the field for a moment when it has found the server, too
    sys.exit()
window.fill("Password", sys.argv[2])
window.press("Create")
window.show(lambda: next(iter(glob.glob(os.path.expanduser("~/.config/geary/account_*/geary.ini"))), None))
