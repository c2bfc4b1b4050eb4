"""A Tk window that shows where other tools point: the handler runs in the thread of the window."""

import signal
import sys
import threading

try:
    import tkinter as tk
except ImportError as error:
    sys.exit(
        f"this needs tkinter ({error}): install it from where Python is, such as: apt install python3-tk"
    )

from asyncsamp import SampError
from asyncsamp.sync import Client

try:
    root = tk.Tk()
except tk.TclError as error:
    sys.exit(f"this shows a window, so start it on a desktop: {error}")
shown = tk.StringVar(value="nobody has pointed yet")
tk.Label(root, textvariable=shown, padx=40, pady=20).pack()

client = Client("tk window", dispatcher=lambda work: root.after(0, work))


@client.on("coord.pointAt.sky")
def point(message):
    shown.set(f"ra {message.params['ra']}, dec {message.params['dec']}")
    print(shown.get(), "in", threading.current_thread().name, flush=True)


def look_for_ctrl_c():
    root.after(200, look_for_ctrl_c)  # while Tk waits for an event, Python takes no signal


try:
    with client:
        signal.signal(signal.SIGINT, lambda *_: root.quit())
        look_for_ctrl_c()
        print("listening", flush=True)
        root.mainloop()
except SampError as error:
    sys.exit(str(error))
print("left", flush=True)
