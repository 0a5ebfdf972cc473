"""Works a program with windows on a screen that nobody sees, by the names that screen readers are told."""
import os
import subprocess
import sys
import time

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib

PATIENCE = 30  # seconds, for each thing that is waited for


def start(*command):
    """Starts a screen, and the program on it."""
    reading, writing = os.pipe()
    subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"], pass_fds=[writing]
    )
    os.close(writing)
    os.environ["DISPLAY"] = ":" + os.fdopen(reading).readline().strip()
    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def widgets(parent=None):
    """All widgets that can be seen, from top to bottom, as (role, name, widget)."""
    parent = parent or Atspi.get_desktop(0)
    for i in range(parent.get_child_count()):
        child = parent.get_child_at_index(i)
        if child is None:
            continue
        role = child.get_role_name()
        if role == "application" or has(child, "SHOWING"):
            yield role, child.get_name(), child
            yield from widgets(child)


def has(widget, state):
    return widget.get_state_set().contains(getattr(Atspi.StateType, state))


def wait(what, look):
    """Looks again and again until there is something, and returns that."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            found = look()
            if found:
                return found
        except GLib.Error:
            pass  # a widget went away while it was looked at
        time.sleep(0.05)
    seen = [f"{role} {name!r}" for role, name, _ in widgets() if name]
    sys.exit(f"no {what} after {PATIENCE} seconds; there is: " + ", ".join(seen))


def label(*texts):
    """Waits for a label with one of these texts, and returns the text."""
    return wait("label " + " or ".join(texts), lambda: next((n for r, n, _ in widgets() if r == "label" and n in texts), None))


def settle(seconds=1.5):
    """Waits until nothing that can be seen has changed for so long, and returns the labels that are there."""

    def look():
        return [(r, n, Atspi.Text.get_text(w, 0, -1) if r == "text" else "") for r, n, w in widgets()]

    last, since = None, time.monotonic()

    def settled():
        nonlocal last, since
        seen = look()
        if seen != last:
            last, since = seen, time.monotonic()
        return time.monotonic() - since >= seconds

    wait("rest", settled)
    return [name for role, name, _ in last if role == "label"]


def press(name):
    """Presses a button, once it can be pressed."""

    def button():
        return next((w for r, n, w in widgets() if r == "push button" and n == name and has(w, "SENSITIVE")), None)

    wait(f"button {name!r}", button).get_action_iface().do_action(0)


def fill(name, text):
    """Types into the field with this label. Both programs tell a field just before its label."""

    def field():
        last = None
        for role, n, widget in widgets():
            if role in ("text", "password text"):
                last = widget
            elif role == "label" and n == name:
                return last

    wait(f"field {name!r}", field).get_editable_text_iface().set_text_contents(text)


def choose(item):
    """Chooses from the only combo box. Its items cannot be seen as long as it is closed."""

    def choice():
        box = next((w for r, _, w in widgets() if r == "combo box"), None)
        menu = box and box.get_child_at_index(0)
        items = [menu.get_child_at_index(i) for i in range(menu.get_child_count())] if menu else []
        return next((i for i in items if i.get_name() == item), None)

    wait(f"choice {item!r}", choice).get_action_iface().do_action(0)


def show(find):
    """Waits until find() names a file that has something in it, and prints the file."""

    def content():
        path = find()
        return path and os.path.exists(path) and open(path).read()

    print(wait("file of the account", content))
